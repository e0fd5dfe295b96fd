/** Checks of one tick, at most: after a pause (a sleeping laptop) the backlog is not sent all at once. */
export const TICK_CHECKS_MAX = 900;

/**
 * How many checks are due now, so that `total` are used up `durationMs` after the start, evenly. At least 1: once the
 * total is sent, the traffic goes on until the limit answers.
 */
export function dueNow(total: number, durationMs: number, elapsedMs: number, sent: number): number {
  const target = Math.ceil((total * Math.min(elapsedMs, durationMs)) / durationMs);
  return Math.min(TICK_CHECKS_MAX, Math.max(1, target - sent));
}
