import { listSubscriptions } from "../accounts/subscription-store.ts";
import type { CatalogHistory } from "../catalog/history-store.ts";
import { creditsLeft } from "../credits/credit-store.ts";
import type { Window } from "../kernel/window.ts";
import { billingEstimate, type BillingEstimate } from "../rating/estimate.ts";
import type { Db } from "../stores/database.ts";
import { costsByUse, plannedMonth, withUsage, type BillingMonth } from "./planned-month.ts";
import { ratePart } from "./priced-month.ts";

export interface EstimateStores {
  db: Db;
  /** What a month is priced by. */
  catalogs: CatalogHistory;
  /** Books what an account has used and the ledger does not have yet. */
  book: (account: string) => Promise<void>;
}

export interface EstimateView {
  account: string;
  /** The plan in force. */
  plan: string;
  /** The billing month that is open; null for none. */
  opened: BillingMonth | null;
  /** The billing month by the account's calendar. */
  month: Window;
  /** What is shown as used: counters of the month, levels of gauges. */
  quantities: Readonly<Record<string, number>>;
}

/**
 * The bill of the running month if nothing more were used and levels stayed as they are. It is planned, read from the ledger and rated by
 * what the upcoming invoice and the final one are made by, so its lines are theirs.
 */
export async function estimateOf({ db, catalogs, book }: EstimateStores, view: EstimateView, now: number): Promise<BillingEstimate> {
  const { account, quantities } = view;
  const month = billedMonth(view.opened, view.month, now);
  const [rated, [credits = []]] = await Promise.all([
    ratedMonth({ db, catalogs, book }, view, month, now),
    creditsLeft(db, [{ account, end: month.window.end }]),
  ]);
  return billingEstimate({ ...rated, used: quantities, credits });
}

async function ratedMonth(
  { db, catalogs, book }: EstimateStores,
  { account, plan: present }: EstimateView,
  month: BillingMonth,
  now: number,
) {
  const history = (await listSubscriptions(db, [account], month.window.start)).get(account) ?? [];
  const prices = catalogs.reader(now);
  const planned = await plannedMonth(prices, account, month, history);
  // Nothing is read of a month that no use can make dearer, so nothing has to be booked for it.
  if (costsByUse(planned)) await book(account);
  const months = [...(await withUsage(db, [planned])).values()].flatMap(({ parts, monthMs }) =>
    parts.map((part) => ratePart(part, monthMs)),
  );
  const { plan, version } = planned.priced.get(present) ?? (await prices.planAt(present, now));
  return { catalog: version.catalog, plan, months };
}

/** The month that the running time is billed in: the one that is open, or, once that is over, what is left of the calendar's. */
function billedMonth(open: BillingMonth | null, calendars: Window, now: number): BillingMonth {
  const monthMs = calendars.end - calendars.start;
  // An account's first month is billed as a whole one: of the time before there is no usage.
  if (!open || open.monthMs === 0) return { window: calendars, monthMs };
  if (now < open.window.end) return open;
  return { window: { start: Math.max(calendars.start, open.window.end), end: calendars.end }, monthMs };
}
