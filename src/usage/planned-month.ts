import type { Subscription } from "../accounts/subscription.ts";
import type { CatalogReader, PricedPlan } from "../catalog/history-store.ts";
import { iso, type Window } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { planParts, plansIn, windowsOfMonth } from "./plan-use.ts";
import { windowSums, type WindowSums } from "./window-sums-store.ts";
import type { PricedMonth } from "./priced-month.ts";

/** A billing month, or a part of one. */
export interface BillingMonth {
  window: Window;
  /** The length of the whole month, milliseconds. */
  monthMs: number;
}

/** A month whose plans are known, before its usage is read. */
export interface PlannedMonth extends BillingMonth {
  account: string;
  history: readonly Subscription[];
  priced: Map<string, PricedPlan>;
}

/** Which plans a month was under, and what each cost by the catalogue of its first hour. */
export async function plannedMonth(
  prices: CatalogReader,
  account: string,
  { window, monthMs }: BillingMonth,
  history: readonly Subscription[],
): Promise<PlannedMonth> {
  const plans = plansIn(history, window);
  const priced = await Promise.all(plans.map(async (p) => [p.plan, await prices.planAt(p.plan, p.firstAt)] as const));
  return { account, window, monthMs, history, priced: new Map(priced) };
}

/** Reads the usage of the months that can cost something, all in one statement, and parts it by plan. */
export async function withUsage(db: Db, months: readonly PlannedMonth[]): Promise<Map<PlannedMonth, PricedMonth>> {
  const charged = months.filter(costsByUse);
  const windows = charged.map(windowsOfMonth);
  const gauges = new Set(charged.flatMap(({ priced }) => [...priced.values()].flatMap(chargedGauges)));
  const sums = await windowSums(db, windows.flat(), [...gauges]);
  const usage = new Map<PlannedMonth, WindowSums[]>();
  let read = 0;
  charged.forEach((month, i) => {
    const count = windows[i]?.length ?? 0;
    usage.set(month, sums.slice(read, (read += count)));
  });
  return new Map(
    months.map((month) => {
      const { account, window, monthMs, history, priced } = month;
      const parts = planParts(month, usage.get(month) ?? []).flatMap((part) => {
        const known = priced.get(part.plan);
        return known ? [{ ...part, priced: known }] : [];
      });
      const edges = { start: iso(window.start), end: iso(window.end) };
      return [month, { account, window, edges, monthMs, history, parts }] as const;
    }),
  );
}

/** True where a plan of the month has a charge: only then is its usage read. */
export const costsByUse = ({ priced }: PlannedMonth): boolean =>
  [...priced.values()].some(({ plan: { charges } }) => Object.keys(charges).length > 0);

const chargedGauges = ({ plan: { charges }, version }: PricedPlan): string[] =>
  version.catalog.meters.filter(({ name, kind }) => kind === "gauge" && Object.hasOwn(charges, name)).map(({ name }) => name);
