import type { Meter, Plan } from "../catalog/catalog.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { ratePlanLine } from "./plan-line.ts";

/** A counter whose use costs credits. Quantities of the part of the month in which the plan is in force; it may have been corrected below 0. */
export interface CreditedMeter {
  meter: string;
  used: bigint;
  /** What the month's counter had counted under other plans: it counts on from there. */
  before: bigint;
  /** What is used costs that now. */
  paidUsdMicros: bigint;
  /** The most that any quantity up to this one costs, millionths of the currency. It never falls. */
  cost: (quantity: bigint) => bigint;
}

/** A running month of an account whose plan stops at its credits. Millionths of the currency. */
export interface CreditedMonth {
  /** What is left of the grants that cover the month, as it was before it. */
  leftUsdMicros: bigint;
  /** What the month comes to by now that credits may pay. */
  dueUsdMicros: bigint;
  meters: readonly CreditedMeter[];
}

export interface Apportioned {
  /** What each meter's counter may come to in the month: never less than it was. */
  limits: Map<string, number>;
  /** True where all that was needed is covered. */
  covered: boolean;
}

/** Beyond what is needed now a raise takes this part of what is left: so a month costs some hundred of them, and as little lies idle. */
const PARTS_OF_THE_REST = 100n;
/** But for a wish that comes alone no less than for so many more of it: the end of the credits is not cut into crumbs. */
const ALIKE = 10n;
const MAX = BigInt(QUANTITY_MAX);

/** A counter as a plan prices it. Prices by volume may fall as a tier is reached: what counts for a limit is the most up to there. */
export function creditedMeter(plan: Plan, meter: Meter, used: bigint, before: bigint): CreditedMeter {
  const charge = plan.charges[meter.name];
  const price = (quantity: bigint): bigint => ratePlanLine(plan, meter, quantity < 0n ? 0n : quantity).rated.amountUsdMicros;
  const included = ratePlanLine(plan, meter, 0n).included?.numerator ?? 0n;
  const tiers = charge?.model === "volume" ? charge.tiers : [];
  const tops = tiers.flatMap(({ upTo }) => (upTo === null ? [] : [included + BigInt(upTo)]));
  const cost = (quantity: bigint): bigint =>
    tops.filter((top) => top < quantity).reduce((most, top) => greater(most, price(top)), price(quantity));
  return { meter: meter.name, used, before, paidUsdMicros: price(used), cost };
}

/** What one caller wants more of: by meter, from where its counter stood. */
export interface CreditWish {
  needs: ReadonlyMap<string, { stands: number; quantity: number }>;
  /** As far as credits cover it, where they do not cover all. */
  partial: boolean;
}

/** Wishes looked at one by one where credits do not cover all of them together; the others ask again. */
const WISHES_MAX = 256;

/**
 * Raises limits for wishes that come at once: for all together where credits cover that, else for each in turn, as far as they go.
 * Answers limits that are never less than they were. Pure.
 */
export function raised(
  month: CreditedMonth,
  standing: ReadonlyMap<string, number>,
  wishes: readonly CreditWish[],
): ReadonlyMap<string, number> {
  const all = wishes.reduce((sum, wish) => withWish(sum, wish), new Map<string, number>());
  const alike = wishes.length > 1 ? 0n : ALIKE;
  const together = apportion(month, standing, all, false, alike);
  if (together.covered) return together.limits;
  let limits: ReadonlyMap<string, number> = together.limits;
  let taken = new Map<string, number>();
  for (const wish of wishes.slice(0, WISHES_MAX)) {
    const needs = withWish(taken, wish);
    const { limits: next, covered } = apportion(
      month,
      limits,
      new Map([...needs].filter(([meter]) => wish.needs.has(meter))),
      wish.partial,
      alike,
    );
    limits = next;
    if (covered) taken = needs;
  }
  return limits;
}

/** What counters come to with one wish more: each adds to those before it, from the highest that any of them saw. */
function withWish(sum: ReadonlyMap<string, number>, { needs }: CreditWish): Map<string, number> {
  const next = new Map(sum);
  for (const [meter, { stands, quantity }] of needs)
    next.set(meter, Math.min(QUANTITY_MAX, Math.max(sum.get(meter) ?? 0, stands) + quantity));
  return next;
}

/**
 * Raises limits so that each meter of `needs` may come to what it needs, if credits cover that, and a little more; where `partial`, as far as
 * they cover it. What the limits that stand may cost is taken for spent. So, whatever is used within the limits, the month comes to no more
 * than is left: the sum over meters of what their limits cost, and of what is due besides, stays within it. Pure.
 */
export function apportion(
  month: CreditedMonth,
  standing: ReadonlyMap<string, number>,
  needs: ReadonlyMap<string, number>,
  partial: boolean,
  alike = ALIKE,
): Apportioned {
  const tops = new Map(month.meters.map((m) => [m, topOf(m, standing.get(m.meter))] as const));
  let free = month.leftUsdMicros - month.dueUsdMicros;
  for (const [m, top] of tops) free -= m.cost(top) - m.paidUsdMicros;
  const wanted = month.meters.flatMap((m) => {
    const need = needs.get(m.meter);
    const top = tops.get(m) ?? m.used;
    return need === undefined || BigInt(need) - m.before <= top ? [] : [{ m, top, need: BigInt(need) - m.before }];
  });
  const price = wanted.reduce((sum, { m, top, need }) => sum + m.cost(need) - m.cost(top), 0n);
  const covered = price <= free;
  if (wanted.length > 0 && (covered || (partial && free > 0n))) {
    const rest = (covered ? free - price : free) / BigInt(wanted.length);
    for (const { m, top, need } of wanted) {
      const from = covered ? need : top;
      const same = m.cost(need + alike * (need - top)) - m.cost(need);
      const more = covered ? greater(rest / PARTS_OF_THE_REST, same < rest ? same : rest) : rest;
      tops.set(m, dearestWithin(m.cost, from, m.cost(from) + more));
    }
  }
  const limits = [...tops].map(([m, top]) => [m.meter, Number(within(top + m.before))] as const);
  return { limits: new Map(limits), covered };
}

/** The quantity a meter may come to already: its limit, or what is used. Where it has no limit yet, whatever costs nothing more as well. */
const topOf = ({ cost, used, before }: CreditedMeter, limit: number | undefined): bigint =>
  limit === undefined ? dearestWithin(cost, used, cost(used)) : greater(used, BigInt(limit) - before);

/** The greatest quantity from `from` on that costs at most `budget`, which pays for `from`. */
function dearestWithin(cost: CreditedMeter["cost"], from: bigint, budget: bigint): bigint {
  let low = from;
  let high = greater(from, MAX);
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (cost(middle) <= budget) low = middle;
    else high = middle - 1n;
  }
  return low;
}

const greater = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const within = (quantity: bigint): bigint => (quantity < 0n ? 0n : quantity > MAX ? MAX : quantity);
