import { billingTermsAt } from "../accounts/billing-terms-store.ts";
import { NO_TERMS, readTerms } from "../accounts/billing-terms.ts";
import { listSubscriptions } from "../accounts/subscription-store.ts";
import { subscriptionAt, type Subscription } from "../accounts/subscription.ts";
import type { CatalogHistory, PricedPlan } from "../catalog/history-store.ts";
import { WeirError } from "../kernel/errors.ts";
import type { Window } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { planParts, plansIn, windowsOfMonth } from "../usage/plan-use.ts";
import { windowSums, type WindowSums } from "../usage/window-sums-store.ts";
import { billedFor, feeBilledFor } from "./billed.ts";
import type { InvoiceInput } from "./compose.ts";
import { earlierMonths, invoicesBefore, type EarlierMonth, type IssuedInvoice } from "./earlier-store.ts";
import type { BillingPeriod } from "./period-store.ts";
import type { PricedMonth } from "./priced-month.ts";

export interface BillingStores {
  db: Db;
  catalogs: CatalogHistory;
}

/** An invoice to be made. */
export interface Asked {
  period: BillingPeriod;
  next: { window: Window; monthMs: number };
  /** What the invoice says it is for. */
  shown: Window;
}

/** A month whose plans are known, before its usage is read. */
interface PlannedMonth extends EarlierMonth {
  account: string;
  history: readonly Subscription[];
  priced: Map<string, PricedPlan>;
}

interface PlannedInvoice {
  asked: Asked;
  month: PlannedMonth | null;
  earlier: PlannedMonth[];
  issued: IssuedInvoice[];
  ahead: InvoiceInput["ahead"];
}

/**
 * Reads what invoices follow from, for many accounts (each once) in as many statements as for one. An account whose plans cannot be priced
 * gets the reason instead.
 */
export async function gather(stores: BillingStores, asked: readonly Asked[], now: number): Promise<(InvoiceInput | Error)[]> {
  const planned = await plan(stores, asked, now);
  const months = planned.flatMap((p) => (p instanceof Error ? [] : [...(p.month ? [p.month] : []), ...p.earlier]));
  const priced = await withUsage(stores.db, months);
  const terms = await billingTermsAt(
    stores.db,
    asked.map(({ period }) => period.account),
    asked.map(({ period }) => period.window.end),
  );
  return planned.map((p): InvoiceInput | Error => {
    if (p instanceof Error) return p;
    const { account, window } = p.asked.period;
    const document = terms.get(account);
    const billable = p.earlier.filter((month) => !p.issued.some(({ end, state }) => end === month.window.end && state === "draft"));
    return {
      account,
      period: p.asked.shown,
      month: p.month && (priced.get(p.month) ?? null),
      ahead: p.ahead,
      feeBilled: feeBilledFor(window, p.issued),
      earlier: billable.flatMap((month) => {
        const found = priced.get(month);
        return found ? [{ month: found, billed: billedFor(month.window, p.issued) }] : [];
      }),
      terms: document ? readTerms(document) : NO_TERMS,
    };
  });
}

async function plan({ db, catalogs }: BillingStores, asked: readonly Asked[], now: number): Promise<(PlannedInvoice | Error)[]> {
  const beginnings = asked.map(({ period }) => ({ account: period.account, begins: period.window.start }));
  const earlier = await earlierMonths(db, beginnings);
  const since = asked.map(({ period }, i) => Math.min(period.window.start, earlier[i]?.[0]?.window.end ?? period.window.start));
  const issued = await invoicesBefore(
    db,
    beginnings.map((beginning, i) => ({ ...beginning, since: since[i] ?? beginning.begins })),
  );
  const from = Math.min(...asked.map(({ period }, i) => earlier[i]?.[0]?.window.start ?? period.window.start));
  const histories = await listSubscriptions(
    db,
    beginnings.map(({ account }) => account),
    from,
  );
  const price = (month: EarlierMonth, account: string) => plannedMonth(catalogs, account, month, histories.get(account) ?? [], now);
  return Promise.all(
    asked.map(async ({ period, next, shown }, i): Promise<PlannedInvoice | Error> => {
      const { account } = period;
      try {
        const subscription = subscriptionAt(histories.get(account) ?? [], next.window.start) ?? null;
        return {
          asked: { period, next, shown },
          month: period.monthMs === 0 ? null : await price(period, account),
          earlier: await Promise.all((earlier[i] ?? []).map((month) => price(month, account))),
          issued: issued[i] ?? [],
          ahead: { ...next, subscription, priced: subscription && (await catalogs.planAt(subscription.plan, next.window.start, now)) },
        };
      } catch (error) {
        if (error instanceof WeirError && error.code === "internal_error") return error;
        throw error;
      }
    }),
  );
}

async function plannedMonth(
  catalogs: CatalogHistory,
  account: string,
  { window, monthMs }: EarlierMonth,
  history: readonly Subscription[],
  now: number,
): Promise<PlannedMonth> {
  const plans = plansIn(history, window);
  const priced = await Promise.all(plans.map(async (p) => [p.plan, await catalogs.planAt(p.plan, p.firstAt, now)] as const));
  return { account, window, monthMs, history, priced: new Map(priced) };
}

/** Reads the usage of the months that can cost something, all in one statement, and parts it by plan. */
async function withUsage(db: Db, months: readonly PlannedMonth[]): Promise<Map<PlannedMonth, PricedMonth>> {
  const charged = months.filter(({ priced }) => [...priced.values()].some(({ plan: { charges } }) => Object.keys(charges).length > 0));
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
      return [month, { account, window, monthMs, history, parts }] as const;
    }),
  );
}

const chargedGauges = ({ plan: { charges }, version }: PricedPlan): string[] =>
  version.catalog.meters.filter(({ name, kind }) => kind === "gauge" && Object.hasOwn(charges, name)).map(({ name }) => name);
