import { listSubscriptions } from "../accounts/subscription-store.ts";
import type { CatalogHistory } from "../catalog/history-store.ts";
import type { Window } from "../kernel/window.ts";
import { billingEstimate, type BillingEstimate, type EarlierUse } from "../rating/estimate.ts";
import { shareOf } from "../rating/proration.ts";
import type { Db } from "../stores/database.ts";
import { billedUsage, planParts, windowsOfMonth, type PlanPart } from "./plan-use.ts";
import { windowSums } from "./window-sums-store.ts";

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
 * The bill of the running month as it stands: priced by the catalogue the month began with, counters as they are, stored bytes as if for
 * the full month. What was used under an earlier plan of the month is rated by that plan, as the invoice will.
 */
export async function estimateOf(db: Db, catalogs: CatalogHistory, view: EstimateView, now: number): Promise<BillingEstimate> {
  const { account, month, quantities } = view;
  const history = (await listSubscriptions(db, [account], month.start)).get(account) ?? [];
  const begun = { account, window: month, history: history.filter(({ startsAt }) => startsAt <= now) };
  const windows = windowsOfMonth(begun);
  // Most months know one plan, and then everything used was used under it.
  const parts = planParts(begun, windows.length > 1 ? await windowSums(db, windows, []) : []);
  const present = parts.find(({ plan }) => plan === view.plan);
  const earlier = await Promise.all(parts.filter((part) => part !== present).map((part) => earlierUse(catalogs, part, now)));
  const { plan, version } = await catalogs.planAt(view.plan, present?.firstAt ?? now, now);
  return billingEstimate({
    catalog: version.catalog,
    plan,
    monthUsage: quantities,
    storageLevels: quantities,
    earlier,
    share: shareOf(present?.ms ?? 0, month.end - month.start),
  });
}

async function earlierUse(catalogs: CatalogHistory, part: PlanPart, now: number): Promise<EarlierUse> {
  const { plan } = await catalogs.planAt(part.plan, part.firstAt, now);
  return { plan, quantities: Object.fromEntries([...part.sums].map(([meter, sums]) => [meter, Number(billedUsage(sums))])) };
}
