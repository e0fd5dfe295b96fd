import type { Subscription } from "../accounts/subscription.ts";
import { bucketOfChange, spansIn, type AccountMonth } from "./plan-use.ts";

/**
 * Of a month's hours (by start, epoch ms), what fell to one plan. The hour of a change of plan is parted where it was when the change was
 * made, as `planParts` parts the month's sum: the hours here add up to it. Pure.
 */
export function hoursOfPlan(
  { window, history }: AccountMonth,
  plan: string,
  hours: ReadonlyMap<number, bigint>,
  before: (change: Subscription) => bigint,
): Map<number, bigint> {
  const found = new Map<number, bigint>();
  let begun: Subscription | undefined;
  for (const span of spansIn(history, window)) {
    if (span.plan === plan) {
      for (const [hour, quantity] of hours) {
        const here = untilChange(hour, quantity, span.next, before) - (begun ? untilChange(hour, quantity, begun, before) : 0n);
        if (here !== 0n) found.set(hour, (found.get(hour) ?? 0n) + here);
      }
    }
    begun = span.next;
  }
  return found;
}

/** What an hour had counted when a change was made; all of it where there was none. */
function untilChange(hour: number, quantity: bigint, change: Subscription | undefined, before: (change: Subscription) => bigint): bigint {
  if (!change) return quantity;
  const bucket = bucketOfChange(change);
  if (hour < bucket) return quantity;
  return hour === bucket ? before(change) : 0n;
}
