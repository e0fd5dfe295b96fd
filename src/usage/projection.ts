import type { Window } from "../kernel/window.ts";

/**
 * When the limit will be reached at the window's average rate so far; null when that is not before the window ends, when nothing
 * is used, or when the limit is reached already. Epoch ms.
 */
export function projectedExhaustion(used: number, remaining: number | null, window: Window, now: number): number | null {
  const elapsed = now - window.start;
  if (remaining === null || remaining <= 0 || used <= 0 || elapsed <= 0) return null;
  const left = (BigInt(remaining) * BigInt(elapsed) + BigInt(used) - 1n) / BigInt(used);
  const at = BigInt(now) + left;
  return at < BigInt(window.end) ? Number(at) : null;
}
