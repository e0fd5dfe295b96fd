import { subscriptionAt } from "../accounts/subscription.ts";
import { findCalendars } from "../accounts/calendar-store.ts";
import { findMeter } from "../catalog/catalog.ts";
import { notFound, unavailable } from "../kernel/errors.ts";
import { creditedMeter, type CreditedMeter, type CreditedMonth } from "../rating/credit-limits.ts";
import { followedBy } from "./close.ts";
import type { InvoiceInput } from "./compose.ts";
import { creditStanding } from "./credit-standing.ts";
import { gather, type Asked, type BillingStores } from "./gather.ts";
import { openPeriods } from "./period-store.ts";
import { refreshDrafts } from "./refresh-drafts.ts";

/** Months that may have ended and not be closed yet, before credits are not reckoned with any more: the worker closes them each minute. */
const MONTHS_BEHIND_MAX = 3;

/**
 * The month of `now` as credits see it, by the code that makes its invoice, from what is booked. What months before it come to that are not
 * closed yet is taken off what is left. Throws `not_found` (account) and `unavailable`, where the account cannot be priced too.
 */
export async function creditedMonth(
  stores: BillingStores,
  account: string,
  meters: readonly string[],
  now: number,
): Promise<CreditedMonth> {
  // What a draft has come to since it was made is not left any more.
  await refreshDrafts(stores, account, now);
  const inputs: InvoiceInput[] = [];
  for (const asked of await monthsUntil(stores, account, now)) {
    const [input] = await gather(stores, [asked], now);
    if (!input || input instanceof Error) throw unavailable(`The bill of account ${account}`, input);
    inputs.push(input);
  }
  const running = inputs.at(-1);
  if (!running) throw notFound(`Account ${account}`);
  const { leftUsdMicros, dueUsdMicros } = creditStanding(running);
  const before = inputs.slice(0, -1).reduce((sum, input) => sum + creditStanding(input).dueUsdMicros, 0n);
  return { leftUsdMicros: leftUsdMicros - before, dueUsdMicros, meters: creditedMetersOf(running, meters, now) };
}

/** The account's months that are not closed, up to the one that holds `now`. */
async function monthsUntil({ db }: BillingStores, account: string, now: number): Promise<Asked[]> {
  const [open] = await openPeriods(db, [account]);
  const calendar = (await findCalendars(db, [account])).get(account);
  if (!open || !calendar) throw notFound(`Account ${account}`);
  const months: Asked[] = [];
  let asked = followedBy(open, calendar);
  if (open.monthMs > 0) months.push(asked);
  while (asked.period.window.end <= now) {
    if (months.length > MONTHS_BEHIND_MAX) throw unavailable(`A month of account ${account} that is closed`);
    asked = followedBy({ account, ...asked.next }, calendar);
    months.push(asked);
  }
  return months;
}

const UNKNOWN = { product: "", unit: "", kind: "counter", description: "", failurePolicy: "deny" } as const;

function creditedMetersOf({ month }: InvoiceInput, names: readonly string[], now: number): CreditedMeter[] {
  const subscription = month && subscriptionAt(month.history, now);
  const part = month?.parts.find(({ plan }) => plan === subscription?.plan);
  if (!month || !part) return [];
  const { plan, version } = part.priced;
  return names.flatMap((name): CreditedMeter[] => {
    const meter = findMeter(version.catalog, name);
    const sumOf = (parts: typeof month.parts): bigint =>
      parts.reduce((sum, { sums }) => sum + (sums.get(name)?.usage ?? 0n) + (sums.get(name)?.corrections ?? 0n), 0n);
    // One that the month's catalogue does not know yet costs nothing before the next.
    const priced = meter ?? { ...UNKNOWN, name };
    return [creditedMeter(plan, priced, sumOf([part]), sumOf(month.parts.filter((other) => other !== part)))];
  });
}
