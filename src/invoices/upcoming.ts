import { findCalendars } from "../accounts/calendar-store.ts";
import { followedBy } from "./close.ts";
import type { InvoiceInput } from "./compose.ts";
import { gather, type BillingStores } from "./gather.ts";
import { openPeriods } from "./period-store.ts";

/**
 * What the invoices of the running months follow from, as if nothing more were used and levels stayed as they are, for many accounts (each
 * once) in as many statements as for one. An account that cannot be billed gets the reason; one that does not exist is left out.
 */
export async function upcomingInputs(
  stores: BillingStores,
  accounts: readonly string[],
  now: number,
): Promise<Map<string, InvoiceInput | Error>> {
  const open = await openPeriods(stores.db, accounts);
  const calendars = await findCalendars(stores.db, accounts);
  const asked = open.flatMap((period) => {
    const calendar = calendars.get(period.account);
    if (!calendar) return [];
    // Before an account's first month its invoice is that of the month it begins with.
    const { next } = followedBy(period, calendar);
    return [followedBy(period.monthMs > 0 ? period : { account: period.account, ...next }, calendar)];
  });
  if (asked.length === 0) return new Map();
  const begun = new Set(open.filter(({ monthMs }) => monthMs > 0).map(({ account }) => account));
  const inputs = await gather(stores, asked, now);
  return new Map(
    asked.flatMap(({ period: { account } }, i) => {
      const input = inputs[i];
      if (input === undefined) return [];
      // Before the account's first invoice was made nobody has billed the fee it begins with: that invoice will.
      return [[account, begun.has(account) || input instanceof Error ? input : { ...input, feeBilled: null }] as const];
    }),
  );
}
