import { billingTermsAt } from "../accounts/billing-terms-store.ts";
import { NO_TERMS, readTerms } from "../accounts/billing-terms.ts";
import { findCalendars } from "../accounts/calendar-store.ts";
import { listSubscriptions } from "../accounts/subscription-store.ts";
import { subscriptionAt, type Subscription } from "../accounts/subscription.ts";
import type { Plan } from "../catalog/catalog.ts";
import type { CatalogVersion } from "../catalog/catalog-store.ts";
import { notFound, validationFailed } from "../kernel/errors.ts";
import { HOUR_MS, iso, monthWindow, type BillingCalendar, type Window } from "../kernel/window.ts";
import { keptFrom } from "../ledger/retired-month-store.ts";
import type { Db } from "../stores/database.ts";
import { closed } from "./closing-lines.ts";
import { feeAhead, prorationLines } from "./fee-lines.ts";
import type { BillingStores } from "./gather.ts";
import type { InvoiceBody, InvoiceLine } from "./invoice.ts";
import { withUsage, plannedMonth, type PlannedMonth } from "../usage/planned-month.ts";
import { usageLines } from "./usage-lines.ts";

/** Billing months that one simulation may touch: three years. */
const MONTHS_MAX = 36;

/** Recorded usage of `[from, to)` under another plan. Epoch ms. */
export interface Simulation {
  account: string;
  /** A plan document, read under `version`. */
  plan: Plan;
  version: CatalogVersion;
  from: number;
  to: number;
}

/** What a span comes to under one plan or another. */
export interface SimulatedInvoice extends InvoiceBody {
  account: string;
  plan: string;
  /** What was priced: from and to, widened to whole hours, since usage is kept by the hour. */
  period: Window;
  /** The same span under the plans the account really had. */
  actualUsdMicros: number;
}

/**
 * The invoice an account would have had: its recorded usage of the span, priced under another plan by the code that makes invoices. Each
 * billing month in the span has its own allowances, and bears its own fee, prorated where the span or the account has only a part of it.
 * Throws `not_found` (account) and `validation_failed` (the span).
 */
export async function simulate(stores: BillingStores, asked: Simulation, now: number): Promise<SimulatedInvoice> {
  const { account, plan, version } = asked;
  const { db, catalogs } = stores;
  const calendar = (await findCalendars(db, [account])).get(account);
  if (!calendar) throw notFound(`Account ${account}`);
  const period = { start: Math.floor(asked.from / HOUR_MS) * HOUR_MS, end: Math.ceil(asked.to / HOUR_MS) * HOUR_MS };
  const months = monthsOf(period, calendar);
  const history = (await listSubscriptions(db, [account], period.start)).get(account) ?? [];
  const document = (await billingTermsAt(db, [account], [period.end])).get(account);
  if (document instanceof Error) throw document;
  const terms = document === undefined ? NO_TERMS : readTerms(document);
  const prices = catalogs.reader(now);
  const before = await Promise.all(months.map((month) => plannedMonth(prices, account, month, history)));
  const priced = new Map([[plan.key, { plan, version }]]);
  const after = months.map((month) => ({ ...month, account, history: underOnePlan(history, plan.key), priced }));
  const currentCurrency = before.flatMap((month) => [...month.priced.values()])[0]?.plan.currency ?? plan.currency;
  // What an account has prepaid changes what it pays, not what a plan costs.
  const closing = { terms, credits: [], balance: 0n, period };
  const found = {
    ...closed(await linesOf(db, after), { ...closing, currency: plan.currency }),
    account,
    plan: plan.key,
    period,
    actualUsdMicros: closed(await linesOf(db, before), { ...closing, currency: currentCurrency }).totalUsdMicros,
  };
  // Asked last: a month may have gone while its usage was read.
  const kept = await keptFrom(db);
  if (period.start < kept)
    throw validationFailed([{ path: "from", message: `must be ${iso(kept)} or later: usage before that is not kept` }]);
  return found;
}

/** As if the account had begun with the plan and kept it. */
function underOnePlan([first]: readonly Subscription[], plan: string): Subscription[] {
  return first === undefined ? [] : [{ ...first, plan, endsAt: null, trialEndsAt: null, usedBefore: null }];
}

/** The billing months of a span, cut to it. */
function monthsOf(span: Window, calendar: BillingCalendar): { window: Window; monthMs: number }[] {
  if (span.end <= span.start) throw validationFailed([{ path: "to", message: "must be later than from" }]);
  const months: { window: Window; monthMs: number }[] = [];
  for (let at = span.start; at < span.end;) {
    const month = monthWindow(at, calendar);
    if (months.length === MONTHS_MAX)
      throw validationFailed([{ path: "to", message: `must be within ${MONTHS_MAX} billing months of from` }]);
    const end = Math.min(month.end, span.end);
    months.push({ window: { start: at, end }, monthMs: month.end - month.start });
    at = end;
  }
  return months;
}

async function linesOf(db: Db, months: readonly PlannedMonth[]): Promise<InvoiceLine[]> {
  const priced = await withUsage(db, months);
  return months.flatMap((planned) => {
    const month = priced.get(planned);
    if (!month) return [];
    const { window, monthMs, history } = month;
    const subscription = subscriptionAt(history, window.start) ?? null;
    const fee = { window, monthMs, subscription, priced: subscription && (planned.priced.get(subscription.plan) ?? null) };
    return [...feeAhead(fee), ...prorationLines(month), ...usageLines(month)];
  });
}
