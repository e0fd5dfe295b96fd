import { listSubscriptions } from "../accounts/subscription-store.ts";
import type { CatalogHistory } from "../catalog/history-store.ts";
import { creditsLeft } from "../credits/credit-store.ts";
import type { Window } from "../kernel/window.ts";
import { billingEstimate, type BillingEstimate } from "../rating/estimate.ts";
import type { Db } from "../stores/database.ts";
import { costsByUse, plannedMonth, withUsage } from "./planned-month.ts";
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
  /** The billing month. */
  month: Window;
  /** What is shown as used: counters of the month, levels of gauges. */
  quantities: Readonly<Record<string, number>>;
}

/**
 * The bill of the running month if nothing more were used and levels stayed as they are. It is planned, read from the ledger and rated by
 * what the upcoming invoice and the final one are made by, so its lines are theirs.
 */
export async function estimateOf({ db, catalogs, book }: EstimateStores, view: EstimateView, now: number): Promise<BillingEstimate> {
  const { account, month, quantities } = view;
  const history = (await listSubscriptions(db, [account], month.start)).get(account) ?? [];
  const prices = catalogs.reader(now);
  const planned = await plannedMonth(prices, account, { window: month, monthMs: month.end - month.start }, history);
  // Nothing is read of a month that no use can make dearer, so nothing has to be booked for it.
  if (costsByUse(planned)) await book(account);
  const months = [...(await withUsage(db, [planned])).values()].flatMap(({ parts, monthMs }) =>
    parts.map((part) => ratePart(part, monthMs)),
  );
  const { plan, version } = planned.priced.get(view.plan) ?? (await prices.planAt(view.plan, now));
  const [credits = []] = await creditsLeft(db, [{ account, end: month.end }]);
  return billingEstimate({ catalog: version.catalog, plan, used: quantities, months, credits });
}
