import { billingTermsAt } from "../accounts/billing-terms-store.ts";
import { NO_TERMS, readTerms } from "../accounts/billing-terms.ts";
import { listSubscriptions } from "../accounts/subscription-store.ts";
import { subscriptionAt } from "../accounts/subscription.ts";
import type { CatalogHistory } from "../catalog/history-store.ts";
import { creditsLeft } from "../credits/credit-store.ts";
import { WeirError } from "../kernel/errors.ts";
import type { Window } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { balancesBefore } from "./balance-store.ts";
import { billedFor, feeBilledFor } from "./billed.ts";
import type { InvoiceInput } from "./compose.ts";
import { earlierMonths, invoicesBefore, type IssuedInvoice } from "./earlier-store.ts";
import type { BillingPeriod } from "./period-store.ts";
import { plannedMonth, withUsage, type BillingMonth, type PlannedMonth } from "../usage/planned-month.ts";

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

interface PlannedInvoice {
  asked: Asked;
  month: PlannedMonth | null;
  earlier: PlannedMonth[];
  issued: IssuedInvoice[];
  ahead: InvoiceInput["ahead"];
}

/**
 * Reads what invoices follow from, for many accounts (each once) in as many statements as for one. An account whose plans cannot be priced,
 * or whose terms cannot be read, gets the reason instead.
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
  const ends = asked.map(({ period }) => ({ account: period.account, end: period.window.end }));
  const credits = await creditsLeft(stores.db, ends);
  const balances = await balancesBefore(stores.db, ends);
  return planned.map((p, i): InvoiceInput | Error => {
    if (p instanceof Error) return p;
    const { account, window } = p.asked.period;
    const document = terms.get(account);
    if (document instanceof Error) return document;
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
      credits: credits[i] ?? [],
      balances: balances[i] ?? new Map(),
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
  const prices = catalogs.reader(now);
  const price = (month: BillingMonth, account: string) => plannedMonth(prices, account, month, histories.get(account) ?? []);
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
          ahead: { ...next, subscription, priced: subscription && (await prices.planAt(subscription.plan, next.window.start)) },
        };
      } catch (error) {
        if (error instanceof WeirError && error.code === "internal_error") return error;
        throw error;
      }
    }),
  );
}
