import { HOUR_MS, type Window } from "../kernel/window.ts";
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
function integralOf(stretches: readonly LevelStretch[], window: Window): bigint {
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

/** The same, hour by UTC hour: what each holds of the integral, by its start (cut at the window's); hours of nothing are left out. Pure. */
export function hourlyIntegrals(stretches: readonly LevelStretch[], window: Window): Map<number, bigint> {
  const hours = new Map<number, bigint>();
  const addTo = (at: number, byteMs: bigint): void => {
    const hour = Math.max(window.start, Math.floor(at / HOUR_MS) * HOUR_MS);
    if (byteMs > 0n) hours.set(hour, (hours.get(hour) ?? 0n) + byteMs);
  };
  stretches.forEach((stretch, i) => {
    if (stretch.from >= window.start) addTo(stretch.from, stretch.byteMilliseconds);
    const end = Math.min(stretches[i + 1]?.from ?? window.end, window.end);
    for (let at = Math.max(stretch.until, window.start); at < end;) {
      const next = Math.min((Math.floor(at / HOUR_MS) + 1) * HOUR_MS, end);
      addTo(at, BigInt(stretch.level) * BigInt(next - at));
      at = next;
    }
  });
  return hours;
}
