import { DAY_MS, HOUR_MS } from "../kernel/window.ts";

const MINUTE_MS = 60_000;

/** Waits after the first, second … failure: eight attempts over 31 h 35 min, as Standard Webhooks recommends. Then it has failed. */
const RETRY_DELAYS_MS = [5_000, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 14 * HOUR_MS] as const;
/** Each wait is up to this much longer, so that what failed together does not come back together. */
const JITTER = 0.2;
/** A receiver may ask for more time, up to this. */
const RETRY_AFTER_MAX_MS = 6 * HOUR_MS;
/** Nothing goes to a receiver for this long that says it is overloaded, when it does not say how long. */
const SLOW_DOWN_MS = 30_000;
/** An endpoint that has only failed for this long is disabled. */
export const FAILING_MAX_MS = 5 * DAY_MS;

const OVERLOADED = new Set([429, 502, 504]);
const GONE = 410;

/** What follows from an attempt. */
export interface Outcome {
  delivered: boolean;
  /** When to try again; null for never. */
  nextAt: number | null;
  /** Until when the whole endpoint is left alone; null for not at all. */
  pausedUntil: number | null;
  /** The receiver wants nothing any more. */
  gone: boolean;
}

/** How an attempt ended, as far as the next one depends on it. */
export interface Ended {
  statusCode: number | null;
  error: string | null;
  retryAfter: string | null;
}

/** Decides what comes after an attempt that ended at `now`, `failures` of the delivery before it. `random` is in [0, 1). */
export function outcomeOf({ statusCode, error, retryAfter }: Ended, failures: number, now: number, random: number): Outcome {
  if (error === null) return { delivered: true, nextAt: null, pausedUntil: null, gone: false };
  if (statusCode === GONE) return { delivered: false, nextAt: null, pausedUntil: null, gone: true };
  const asked = retryAfterMs(retryAfter, now);
  const delay = RETRY_DELAYS_MS[failures];
  const slowDown = OVERLOADED.has(statusCode ?? 0) || asked !== null;
  return {
    delivered: false,
    nextAt: delay === undefined ? null : now + Math.max(Math.round(delay * (1 + JITTER * random)), asked ?? 0),
    pausedUntil: slowDown ? now + (asked ?? SLOW_DOWN_MS) : null,
    gone: false,
  };
}

const IMF_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** The wait a `Retry-After` asks for (seconds or a date), 0 to its bound; null where there is none that can be read. */
function retryAfterMs(header: string | null, now: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : IMF_DATE.test(text) ? Date.parse(text) - now : Number.NaN;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}
