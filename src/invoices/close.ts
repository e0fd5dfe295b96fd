import { findCalendars } from "../accounts/calendar-store.ts";
import { monthWindow, type BillingCalendar, type Window } from "../kernel/window.ts";
import { violatingAccounts } from "../ledger/invariants.ts";
import { compose } from "./compose.ts";
import { closeMonths, finalizeDrafts, type Closing, type Finalizing } from "./draft-store.ts";
import { gather, type Asked, type BillingStores } from "./gather.ts";
import type { InvoiceBody } from "./invoice.ts";
import { park, release } from "./parked-store.ts";
import { dueDrafts, duePeriods, type BillingPeriod, type DraftPeriods, type PeriodCursor } from "./period-store.ts";

/** Invoices made together: what they follow from is read, and they are written, in one statement each. */
const INVOICES_AT_ONCE = 200;
/** Months an account may be behind, as when Weir was off: ten years. */
const PASSES_MAX = 120;

export interface CloseReport {
  /** Months closed now, with or without an invoice. */
  closed: number;
  drafted: number;
  finalized: number;
  /** Accounts that were due and are parked. */
  parked: number;
}

/**
 * Closes every billing month that has ended, drafts its invoice, and finalizes the drafts whose grace is over. What is due is found in
 * Postgres, each batch is written in one statement, and what is written follows from what is booked: run twice, at once, or killed
 * anywhere, it comes to the same invoices.
 */
export async function closePeriods(stores: BillingStores, graceMs: number, now: number, atOnce = INVOICES_AT_ONCE): Promise<CloseReport> {
  const report: CloseReport = { closed: 0, drafted: 0, finalized: 0, parked: 0 };
  const parked = new Set<string>();
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const closed = await closeDue(stores, { now, atOnce }, report, parked);
    const finalized = await finalizeDue(stores, { now, atOnce, endedBy: now - graceMs }, report, parked);
    if (closed + finalized === 0) break;
  }
  return { ...report, parked: parked.size };
}

interface Batches {
  now: number;
  /** Invoices made together. */
  atOnce: number;
}

async function closeDue(stores: BillingStores, { now, atOnce }: Batches, report: CloseReport, parked: Set<string>): Promise<number> {
  let count = 0;
  let after: PeriodCursor | null = null;
  for (;;) {
    const due: BillingPeriod[] = await duePeriods(stores.db, now, after, atOnce);
    const last = due.at(-1);
    if (!last) return count;
    after = { end: last.window.end, account: last.account };
    const calendars = await findCalendars(
      stores.db,
      due.map(({ account }) => account),
    );
    const asked = due.flatMap((period) => {
      const calendar = calendars.get(period.account);
      return calendar ? [{ ...followedBy(period, calendar), calendar }] : [];
    });
    const { bodies, rest } = await composeAll(stores, asked, now, parked);
    const closings = asked.flatMap((one): Closing[] => (rest.has(one.period.account) ? [] : [{ ...one, body: bodies.get(one) ?? null }]));
    const { closed, drafted } = await closeMonths(stores.db, closings, now);
    count += closed;
    report.closed += closed;
    report.drafted += drafted;
  }
}

async function finalizeDue(
  stores: BillingStores,
  { now, atOnce, endedBy }: Batches & { endedBy: number },
  report: CloseReport,
  parked: Set<string>,
): Promise<number> {
  let count = 0;
  let after: PeriodCursor | null = null;
  for (;;) {
    const due: DraftPeriods[] = await dueDrafts(stores.db, endedBy, after, atOnce);
    const last = due.at(-1);
    if (!last) return count;
    after = { end: last.period.window.end, account: last.period.account };
    // A later invoice looks at the one before: of an account with two, the second waits for the next pass.
    const asked = due.filter(({ period }, i) => due.findIndex((other) => other.period.account === period.account) === i);
    const finalized = await finalize(stores, asked, now, parked);
    count += finalized.length;
    report.finalized += finalized.length;
  }
}

/** Finalizes drafts (of each account at most one) with what they come to now; those that do not reconcile are parked. Answers the ids. */
export async function finalize(stores: BillingStores, asked: readonly Asked[], now: number, parked: Set<string>): Promise<string[]> {
  const { bodies, rest } = await composeAll(stores, asked, now, parked);
  const drafts = asked.flatMap((one): Finalizing[] => {
    const { account, window } = one.period;
    return rest.has(account) ? [] : [{ account, end: window.end, body: bodies.get(one) ?? null }];
  });
  return finalizeDrafts(stores.db, drafts, now);
}

/** The month that follows a period, by the account's calendar; and what the period's invoice says it is for. */
export function followedBy(period: BillingPeriod, calendar: BillingCalendar): Asked {
  const { end } = period.window;
  const month = monthWindow(end, calendar);
  const monthMs = month.end - month.start;
  if (period.monthMs > 0) return { period, next: { window: { start: end, end: month.end }, monthMs }, shown: period.window };
  // An account begins inside a month. Only where it begins with one is there a fee to be billed before: that of the whole month.
  return { period, next: { window: month, monthMs }, shown: { start: monthWindow(end - 1, calendar).start, end } };
}

interface Composed<T> {
  bodies: Map<T, InvoiceBody | null>;
  /** Accounts that are parked. */
  rest: ReadonlySet<string>;
}

async function composeAll<T extends Asked>(
  stores: BillingStores,
  asked: readonly T[],
  now: number,
  parked: Set<string>,
): Promise<Composed<T>> {
  const accounts = asked.map(({ period }) => period.account);
  const since = Math.min(...asked.map(({ period, shown }) => Math.max(period.window.start, shown.start)));
  const reasons = await violatingAccounts(stores.db, accounts, since, now);
  const inputs = await gather(stores, asked, now);
  const bodies = new Map<T, InvoiceBody | null>();
  asked.forEach((one, i) => {
    const { account } = one.period;
    const input = inputs[i];
    if (reasons.has(account) || input === undefined) return;
    if (input instanceof Error) return void reasons.set(account, input.message);
    try {
      bodies.set(one, startsWithIt(one) ? compose(input) : null);
    } catch (error) {
      // An amount beyond what JSON carries, two currencies, terms that cannot be read: nobody's guess is better than none. Composing is
      // pure, so whatever fails is this account's own and would fail again: the others are not kept waiting for it.
      reasons.set(account, error instanceof Error ? error.message : String(error));
    }
  });
  await park(stores.db, reasons, now);
  const well = accounts.filter((account) => !reasons.has(account));
  await release(stores.db, well);
  for (const account of reasons.keys()) parked.add(account);
  for (const account of well) parked.delete(account);
  return { bodies, rest: new Set(reasons.keys()) };
}

/** The time before an account has an invoice only where the account begins with a month. */
const startsWithIt = ({ period, next }: { period: BillingPeriod; next: { window: Window } }): boolean =>
  period.monthMs > 0 || next.window.start === period.window.end;
