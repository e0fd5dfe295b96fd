import type { Subscription } from "../accounts/subscription.ts";
import type { PricedPlan } from "../catalog/history-store.ts";
import type { Window } from "../kernel/window.ts";
import { fraction, type Fraction } from "../kernel/money.ts";
import { rateMonth, type RatedMonth } from "../rating/month.ts";
import { shareOf } from "../rating/proration.ts";
import { billedUsage, type PlanPart } from "./plan-use.ts";
import type { MeterSums } from "./window-sums-store.ts";

/** A plan's time in a month, and what the plan cost then. */
export interface PricedPart extends PlanPart {
  priced: PricedPlan;
}

/** A billing month with all that its price follows from. */
export interface PricedMonth {
  account: string;
  window: Window;
  /** The window's edges as they are shown. */
  edges: { start: string; end: string };
  /** The length of the whole month that the window is, or is a part of. */
  monthMs: number;
  /** The subscriptions that touch it, oldest first. */
  history: readonly Subscription[];
  parts: readonly PricedPart[];
}

/** What a part's usage is rated as: a counter's sum with its corrections, a gauge's average over the whole month. */
export const quantityOf = (sums: MeterSums, gauge: boolean, monthMs: number): Fraction =>
  gauge ? fraction(sums.level < 0n ? 0n : sums.level, BigInt(monthMs)) : fraction(billedUsage(sums));

/** A part's month, rated: what the running month, the invoice and a later look at it all come from. */
export function ratePart(part: PricedPart, monthMs: number): RatedMonth {
  const { plan, version } = part.priced;
  const gauges = new Set(version.catalog.meters.filter(({ kind }) => kind === "gauge").map(({ name }) => name));
  const quantities = new Map([...part.sums].map(([meter, sums]) => [meter, quantityOf(sums, gauges.has(meter), monthMs)] as const));
  return rateMonth({ plan, meters: version.catalog.meters, share: shareOf(part.ms, monthMs), quantities });
}

/** True where usage of the month can cost something. */
export const isCharged = ({ priced: { plan } }: PricedPart): boolean =>
  Object.keys(plan.charges).length > 0 || (plan.minimumUsdMicrosPerMonth ?? 0) > 0;
