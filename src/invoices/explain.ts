import { listSubscriptions } from "../accounts/subscription-store.ts";
import { subscriptionAt } from "../accounts/subscription.ts";
import { findMeter, type Meter } from "../catalog/catalog.ts";
import type { PricedPlan } from "../catalog/history-store.ts";
import { fraction, jsonAmount, multiply, round } from "../kernel/money.ts";
import { DAY_MS, type Window } from "../kernel/window.ts";
import { ratePlanLine } from "../rating/plan-line.ts";
import { keptFrom } from "../ledger/retired-month-store.ts";
import { hourlyIntegrals } from "../usage/byte-milliseconds.ts";
import { levelStretches } from "../usage/level-store.ts";
import { hoursOfPlan } from "../usage/plan-hours.ts";
import { spansIn, type AccountMonth } from "../usage/plan-use.ts";
import { quantityOf } from "../usage/priced-month.ts";
import { correctionsIn, counterHours, type CorrectionEntry } from "./explain-store.ts";
import type { BillingStores } from "./gather.ts";
import type { Basis, Invoice, InvoiceLine } from "./invoice.ts";

/** What a stretch of the ledger holds. Epoch ms; a counter's sum, or byte-milliseconds. */
export interface LedgerSpan {
  start: number;
  quantity: bigint;
}

/** A line, walked back to the hourly buckets. Quantities are a counter's base units, of a gauge byte-milliseconds. */
export interface ExplainedLine {
  line: InvoiceLine;
  /** The amount reckoned again from what the line says it was rated from; null for discounts and taxes, which their text explains. */
  reckonedUsdMicros: number | null;
  /** What the ledger holds now of the line's month, meter and plan; null for lines without a meter, and of what is not kept. */
  ledger: LedgerOfLine | null;
  /** False where the usage that the line was rated from is not kept. */
  ledgerKept: boolean;
}

export interface LedgerOfLine {
  month: Window;
  unit: string;
  quantity: bigint;
  /** UTC days, cut at the month's edges, and hours: each adds up to `quantity`. */
  days: LedgerSpan[];
  hours: LedgerSpan[];
  corrections: CorrectionEntry[];
  /** What was booked since the line was made: it stands on a later invoice, or will. */
  bookedSince: bigint;
}

/** Walks a line from its amount to the hourly buckets it was rated from, and reckons it again. */
export async function explainLine(stores: BillingStores, invoice: Invoice, line: InvoiceLine, now: number): Promise<ExplainedLine> {
  const { meter: name, explain } = line;
  if (name === undefined || explain.plan === undefined || !explain.month || !explain.basis)
    return { line, reckonedUsdMicros: feeAgain(line), ledger: null, ledgerKept: true };
  const month = { start: Date.parse(explain.month.start), end: Date.parse(explain.month.end) };
  const { priced, meter, account } = await pricing(stores, { account: invoice.account, plan: explain.plan, month, meter: name }, now);
  const amount = rateAgain(priced, meter, explain.basis, explain.monthMilliseconds ?? month.end - month.start);
  const ledger = await ledgerOf(stores, account, explain.plan, meter, explain.basis);
  // Asked last: a month may have gone while it was read. Levels are kept for good.
  const ledgerKept = meter.kind === "gauge" || month.start >= (await keptFrom(stores.db));
  return {
    line,
    reckonedUsdMicros: jsonAmount(amount - BigInt(explain.billedBefore?.amountUsdMicros ?? 0)),
    ledger: ledgerKept ? ledger : null,
    ledgerKept,
  };
}

interface Pricing {
  priced: PricedPlan;
  meter: Meter;
  account: AccountMonth;
}

interface Billed {
  account: string;
  plan: string;
  month: Window;
  meter: string;
}

/** The plan as the month was priced, and the month's subscriptions. */
async function pricing({ db, catalogs }: BillingStores, { account, plan, month, meter: name }: Billed, now: number): Promise<Pricing> {
  const history = (await listSubscriptions(db, [account], month.start)).get(account) ?? [];
  const first = spansIn(history, month).find((span) => span.plan === plan);
  const priced = await catalogs.planAt(plan, first?.from ?? month.start, now);
  const meter = findMeter(priced.version.catalog, name);
  if (!meter || !subscriptionAt(history, month.end)) throw new RangeError(`${name} was billed under ${plan} and is not in its catalogue`);
  return { priced, meter, account: { account, window: month, history } };
}

function rateAgain({ plan }: PricedPlan, meter: Meter, basis: Basis, monthMs: number): bigint {
  const sums = { usage: BigInt(basis.usage), corrections: BigInt(basis.corrections), level: BigInt(basis.byteMilliseconds) };
  return ratePlanLine(plan, meter, quantityOf(sums, meter.kind === "gauge", monthMs)).rated.amountUsdMicros;
}

/** A fee is its price times its share of the month; a minimum, a discount or a tax says in words what it is. */
function feeAgain({ kind, unitPrice, quantity, unitSize }: InvoiceLine): number | null {
  if (kind !== "subscription" && kind !== "proration") return null;
  if (typeof unitPrice !== "number" || typeof quantity !== "number") return null;
  return jsonAmount(round(multiply(fraction(BigInt(unitPrice)), fraction(BigInt(quantity), BigInt(unitSize)))));
}

async function ledgerOf({ db }: BillingStores, month: AccountMonth, plan: string, meter: Meter, basis: Basis): Promise<LedgerOfLine> {
  const { account, window } = month;
  const gauge = meter.kind === "gauge";
  const all = gauge
    ? hourlyIntegrals(await levelStretches(db, account, meter.name, window), window)
    : await counterHours(db, account, meter.name, window);
  const mine = hoursOfPlan(month, plan, all, ({ usedBefore }) => (gauge ? usedBefore?.levels : usedBefore?.counters)?.[meter.name] ?? 0n);
  const hours = [...mine].sort(([a], [b]) => a - b).map(([start, quantity]) => ({ start, quantity }));
  // What is dated before the first plan of the month began (an account's first hour) is the first plan's.
  const spans = spansIn(month.history, window).map((span, i) => (i === 0 ? { ...span, from: window.start } : span));
  const corrections = gauge ? [] : await correctionsIn(db, account, meter.name, window);
  const quantity = hours.reduce((sum, hour) => sum + hour.quantity, 0n);
  return {
    month: window,
    unit: gauge ? "byte-ms" : meter.unit,
    quantity,
    days: daysOf(hours, window),
    hours,
    corrections: corrections.filter(({ at }) => spans.some((span) => span.plan === plan && at >= span.from && at < span.to)),
    bookedSince: quantity - BigInt(gauge ? basis.byteMilliseconds : basis.usage),
  };
}

function daysOf(hours: readonly LedgerSpan[], window: Window): LedgerSpan[] {
  const days = new Map<number, bigint>();
  for (const { start, quantity } of hours) {
    const day = Math.max(window.start, Math.floor(start / DAY_MS) * DAY_MS);
    days.set(day, (days.get(day) ?? 0n) + quantity);
  }
  return [...days].map(([start, quantity]) => ({ start, quantity }));
}
