import type { Window } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { levelStretches, type LevelStretch } from "./level-store.ts";

/** The exact integral of a gauge's level over a window, in byte-milliseconds, from what is booked. */
export async function byteMilliseconds(db: Db, account: string, meter: string, window: Window): Promise<bigint> {
  return integralOf(await levelStretches(db, account, meter, window), window);
}

/**
 * Adds the stretches up and carries each level to the next one. A stretch lies in one hour and a window begins and ends with a bucket,
 * so only the carried levels are cut at its edges. Pure.
 */
export function integralOf(stretches: readonly LevelStretch[], window: Window): bigint {
  let sum = 0n;
  stretches.forEach((stretch, i) => {
    if (stretch.from >= window.start) sum += stretch.byteMilliseconds;
    const next = stretches[i + 1]?.from ?? window.end;
    const carriedFrom = Math.max(stretch.until, window.start);
    const carriedTo = Math.min(next, window.end);
    if (carriedTo > carriedFrom) sum += BigInt(stretch.level) * BigInt(carriedTo - carriedFrom);
  });
  return sum;
}
