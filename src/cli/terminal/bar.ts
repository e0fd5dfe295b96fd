import type { Style } from "./style.ts";

export type BarState = "ok" | "warning" | "exceeded";

/**
 * A bar of `width` characters, `percent` of it filled (clamped to 0–100). It is full only at 100 % and empty only at 0 %:
 * a limit that still admits one unit must not look reached.
 */
export function bar(percent: number, width: number, style: Style, state: BarState = "ok"): string {
  const share = Math.min(100, Math.max(0, percent));
  const filled = share >= 100 ? width : Math.min(width - 1, Math.max(share > 0 ? 1 : 0, Math.floor((share * width) / 100)));
  if (!style.colour) return `[${"#".repeat(filled)}${"-".repeat(width - filled)}]`;
  const paint = state === "exceeded" ? style.bad : state === "warning" ? style.warning : style.good;
  return paint("█".repeat(filled)) + style.faint("░".repeat(width - filled));
}
