import { DAY_MS, HOUR_MS } from "../kernel/window.ts";

/** An hour is unusual at this many times the median hour. */
export const RATE_ALERT_FACTOR = 10;
/** The hours that count as usual: those of the week before the hour in question. */
export const USUAL_SPAN_MS = 7 * DAY_MS;
/** With usage in fewer hours of that week, nothing can be called usual. */
const USUAL_HOURS_MIN = 24;
/** Below this many base units an hour is too small to speak of, whatever it is multiplied from. */
export const RATE_ALERT_FLOOR = 1_000;
/** Full hours looked at: an hour's last second is booked a little after it, and the job may have been away. */
const HOURS_LOOKED_AT = 3;

/** Usage of one UTC hour. */
export interface HourlyUsage {
  /** Epoch ms. */
  hour: number;
  quantity: number;
}

export interface UnusualHour extends HourlyUsage {
  /** Of the hours with usage in the week before; of an even number the lower of the middle two. */
  median: number;
}

/** The first of the full hours looked at, and the end of the last, at `now`. Epoch ms. */
export function hoursInQuestion(now: number): { first: number; end: number } {
  const end = Math.floor(now / HOUR_MS) * HOUR_MS;
  return { first: end - HOURS_LOOKED_AT * HOUR_MS, end };
}

/** Those of the last full hours that used at least ten times the median of the week before each. `usage` holds an hour once. Pure. */
export function unusualHours(usage: readonly HourlyUsage[], now: number): UnusualHour[] {
  const { first, end } = hoursInQuestion(now);
  const loud = usage.filter(({ hour, quantity }) => hour >= first && hour < end && quantity >= RATE_ALERT_FLOOR);
  return loud
    .sort((a, b) => a.hour - b.hour)
    .flatMap(({ hour, quantity }) => {
      const median = medianBefore(usage, hour);
      return median !== null && BigInt(quantity) >= BigInt(RATE_ALERT_FACTOR) * BigInt(median) ? [{ hour, quantity, median }] : [];
    });
}

/** Null where there is too little to go by. */
function medianBefore(usage: readonly HourlyUsage[], hour: number): number | null {
  const usual = usage
    .filter((other) => other.hour >= hour - USUAL_SPAN_MS && other.hour < hour && other.quantity > 0)
    .map(({ quantity }) => quantity)
    .sort((a, b) => a - b);
  return usual.length < USUAL_HOURS_MIN ? null : (usual[Math.floor((usual.length - 1) / 2)] ?? null);
}
