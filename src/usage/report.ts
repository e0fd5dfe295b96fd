import type { Account } from "../accounts/account.ts";
import { findAccountInLife } from "../accounts/account-store.ts";
import { findPlan, type Meter } from "../catalog/catalog.ts";
import type { Counters, Snapshot } from "../counters/counters.ts";
import { withoutLent, type MeterCounters, type PeriodCounters } from "../counters/layout.ts";
import type { AccountLoader, GateStores } from "../gate/account-loader.ts";
import { ENDING_KEPT_MS } from "../gate/check.ts";
import { notFound, unavailable } from "../kernel/errors.ts";
import { thresholdOf } from "../kernel/quantity.ts";
import { iso, PERIODS, windowsAt, type Period, type Window } from "../kernel/window.ts";
import type { Cap } from "../limits/cap.ts";
import { listCaps } from "../limits/cap-store.ts";
import { creditedMeters } from "../limits/in-force.ts";
import { DEFAULT_NOTIFY_PERCENT } from "../limits/thresholds.ts";
import { standingOf } from "../ledger/ledger-store.ts";
import { lentElsewhere } from "../ledger/lease-store.ts";
import { strandedOf, type StrandedBudget } from "../ledger/stranded-store.ts";
import type { BillingEstimate } from "../rating/estimate.ts";
import type { Db } from "../stores/database.ts";
import { estimateOf, type EstimateStores } from "./estimate.ts";
import { limitFigures, type LimitFigures } from "./limit-state.ts";
import { openMonth } from "./open-month-store.ts";
import { projectedExhaustion, recentRate, type RecentBucket } from "./projection.ts";
import { recentUsage } from "./projection-store.ts";

export interface MeterReport extends LimitFigures {
  meter: string;
  unit: string;
  kind: "counter" | "gauge";
  period: Period | null;
  source: "plan" | "cap" | null;
  resetsAt: string | null;
  projectedExhaustionAt: string | null;
  /** Left of the limit, but lent to a store that was lost: held until that is accounted for or the window ends. Never billed. */
  stranded: number;
}

export interface CapReport extends Omit<LimitFigures, "limit"> {
  meter: string;
  period: Period;
  capValue: number;
  hardStop: boolean;
  notifyAtPercent: number;
  windowStart: string;
  resetsAt: string;
  /** The quantity at which the account is notified. */
  notifyAt: number;
  updatedAt: string;
}

export interface UsageReport {
  account: string;
  plan: string;
  asOf: string;
  windows: Record<Period, { start: string; end: string }>;
  usage: { meters: Record<Period, Record<string, number>> };
  meters: MeterReport[];
  usageCaps: CapReport[];
  billingEstimate: BillingEstimate;
}

/** A load makes the state readable; a second look may meet the next window, a third would be a fault. */
const READ_ATTEMPTS_MAX = 6;
/** Each ends at most 500 reservations; whoever holds more than 10,000 sees the rest returned by the next report. */
const EXPIRY_ROUNDS_MAX = 20;

export type ReportStores = GateStores & EstimateStores;

/** The counters as they stand, and what they are read by. */
interface Counted {
  account: Account;
  caps: Cap[];
  /** Counters that stop where credits are exhausted. */
  credited: ReadonlySet<string>;
  snapshot: Snapshot;
  windows: Record<Period, Window>;
}

interface View extends Counted {
  stranded: StrandedBudget;
  /** By open leases of lives that are over; those of the present one are held in the counters. */
  lentElsewhere: ReadonlyMap<string, Record<Period, number>>;
}

export type UsageFigures = Pick<UsageReport, "account" | "plan" | "meters" | "usageCaps">;

/** What the account has used, is lent and has left, with its caps and the bill so far. It includes every answered check. */
export async function usageReport(stores: ReportStores, loader: AccountLoader, account: string, now: number): Promise<UsageReport> {
  const { db } = stores;
  // Side by side, since one after the other eleven trips to Postgres made most of a report's time.
  const [counted, recent, opened] = await Promise.all([
    countedOf(stores, loader, account, now),
    recentUsage(db, account, now),
    openMonth(db, account),
  ]);
  const { catalog } = stores.catalog;
  const quantities = (period: Period): Record<string, number> =>
    Object.fromEntries(catalog.meters.map((m) => [m.name, counted.snapshot.meters.get(m.name)?.[period].used ?? 0]));
  const month = quantities("month");
  const running = { account, plan: counted.account.plan, opened, month: counted.windows.month, quantities: month };
  const [view, estimate] = await Promise.all([withLost(db, counted), estimateOf(stores, running, now)]);
  return {
    account,
    plan: view.account.plan,
    asOf: iso(now),
    windows: { day: isoWindow(view.windows.day), month: isoWindow(view.windows.month) },
    usage: { meters: { day: quantities("day"), month } },
    meters: catalog.meters.map((meter) => meterReport(meter, view, recent.get(meter.name) ?? [], now)),
    usageCaps: view.caps.map((cap) => capReport(cap, view)),
    billingEstimate: estimate,
  };
}

/** What the account has used and has left, with its caps: without the bill and without a look ahead, which cost most of a report. */
export async function usageFigures(stores: GateStores, loader: AccountLoader, account: string, now: number): Promise<UsageFigures> {
  const view = await withLost(stores.db, await countedOf(stores, loader, account, now));
  const meters = stores.catalog.catalog.meters.map((meter) => meterReport(meter, view, [], now));
  return { account, plan: view.account.plan, meters, usageCaps: view.caps.map((cap) => capReport(cap, view)) };
}

/** The account's caps with their state. */
export async function capReports(stores: GateStores, loader: AccountLoader, account: string, now: number): Promise<CapReport[]> {
  const view = await withLost(stores.db, await countedOf(stores, loader, account, now));
  return view.caps.map((cap) => capReport(cap, view));
}

async function countedOf(stores: GateStores, loader: AccountLoader, accountId: string, now: number): Promise<Counted> {
  const { db, catalog } = stores;
  const [found, caps] = await Promise.all([findAccountInLife(db, accountId, now), listCaps(db, accountId)]);
  if (!found) throw notFound(`Account ${accountId}`);
  const { account } = found;
  const { meters } = catalog.catalog;
  const inForce = findPlan(catalog.catalog, account.plan);
  const credited = new Set(inForce ? creditedMeters(catalog.catalog, inForce) : []);
  const windows = windowsAt(now, account.calendar);
  for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
    const { epoch, foreignSeq: booked } = (attempt === 0 ? null : await standingOf(db, accountId)) ?? found;
    const snapshot = await snapshotOf(stores, loader, accountId, meters, now);
    if (snapshot && snapshot.header.epoch !== epoch) {
      // Two lives at once, as after a split brain: usage of the other is not foreign to Postgres, so nobody was told of it.
      await loader.reinstate(accountId, snapshot.header.epoch, now);
      continue;
    }
    // Only now: loading opens a new life where the last one was lost, and strands what that was lent.
    const told = snapshot !== null && snapshot.header.foreignSeq >= booked;
    if (told && isCurrent(snapshot, windows, meters.length)) {
      // The counters' own windows, which a lagging clock does not know yet.
      return { account, caps, credited, snapshot, windows: { day: snapshot.header.day, month: snapshot.header.month } };
    }
    // Whoever booked what another life counted may have been killed before it told Redis.
    await loader.load(accountId, snapshot ? (told ? "turned" : "limits") : "absent", snapshot?.header.epoch ?? 0, now);
  }
  throw unavailable("A steady view of the account");
}

/** Besides what the present life holds, what those that are over hold still. */
async function withLost(db: Db, counted: Counted): Promise<View> {
  const { snapshot, windows } = counted;
  const { account } = counted.account;
  const [stranded, lent] = await Promise.all([
    strandedOf(db, account, windows),
    lentElsewhere(db, account, snapshot.header.epoch, windows),
  ]);
  return { ...counted, stranded, lentElsewhere: lent };
}

/**
 * The counters, after reservations whose time is up have returned what they held: a check ends them before it decides, but an account
 * that asks no more would show them as reserved for ever.
 */
async function readUnexpired(counters: Counters, account: string, meters: readonly Meter[], now: number): Promise<Snapshot | null> {
  let snapshot = await counters.read(account, meters);
  for (let round = 0; round < EXPIRY_ROUNDS_MAX && isDue(snapshot, now); round++) {
    await counters.expire(account, now, now + ENDING_KEPT_MS);
    snapshot = await counters.read(account, meters);
  }
  return snapshot;
}

const isDue = (snapshot: Snapshot | null, now: number): boolean => snapshot !== null && (snapshot.header.expiry ?? Infinity) <= now;

/** The counters as they stand, of a hot account with what its branches have spent, and without what they may spend: it is nobody's yet. */
async function snapshotOf(
  { counters }: GateStores,
  loader: AccountLoader,
  account: string,
  meters: readonly Meter[],
  now: number,
): Promise<Snapshot | null> {
  const snapshot = await readUnexpired(counters, account, meters, now);
  if (!snapshot || !counters.branches.isHot(account)) return snapshot;
  const names = meters.flatMap(({ name, kind }) => (kind === "counter" ? [name] : []));
  const settled = await counters.branches.gather(account, names, now);
  if (!settled) return snapshot;
  if (settled.lost.length > 0) {
    await loader.load(account, "lost", settled.header.epoch, now);
    return null;
  }
  const standings = [...settled.meters].map(([name, { counters: standing, lent }]) => [name, withoutLent(standing, lent)] as const);
  return { header: settled.header, meters: new Map([...snapshot.meters, ...standings]) };
}

// A clock that lags a little over midnight sees a window that is newer than its own: that one counts.
const isCurrent = ({ header, meters }: Snapshot, windows: Record<Period, Window>, meterCount: number): boolean =>
  meters.size === meterCount && header.day.start >= windows.day.start && header.month.start >= windows.month.start;

const isoWindow = ({ start, end }: Window): { start: string; end: string } => ({ start: iso(start), end: iso(end) });

function meterReport(meter: Meter, view: View, recent: readonly RecentBucket[], now: number): MeterReport {
  const counters = view.snapshot.meters.get(meter.name);
  const binding = counters ? bindingLimit(counters, view.credited.has(meter.name)) : null;
  const period = binding?.period ?? "month";
  const used = counters?.[period].used ?? 0;
  const held = heldIn(view, meter.name, period);
  const cap = binding?.source === "cap" ? view.caps.find((c) => c.meter === meter.name && c.period === binding.period) : undefined;
  const figures = limitFigures(used, held, binding?.limit ?? null, cap?.notifyAtPercent ?? DEFAULT_NOTIFY_PERCENT);
  const gauge = meter.kind === "gauge";
  const rate = recentRate(recent, view.windows[period], view.account.createdAt, now);
  const projected = gauge ? null : projectedExhaustion(rate, figures.remaining, view.windows[period], now);
  return {
    meter: meter.name,
    unit: meter.unit,
    kind: meter.kind,
    period: gauge ? null : period,
    ...figures,
    source: binding?.source ?? null,
    resetsAt: gauge ? null : iso(view.windows[period].end),
    projectedExhaustionAt: projected === null ? null : iso(projected),
    stranded: view.stranded.get(meter.name)?.[gauge ? "level" : period] ?? 0,
  };
}

/** Held by reservations and leases, whichever life of the account lent them. */
const heldIn = ({ snapshot, lentElsewhere: lent }: View, meter: string, period: Period): number =>
  (snapshot.meters.get(meter)?.[period].held ?? 0) + (lent.get(meter)?.[period] ?? 0);

interface BindingLimit {
  period: Period;
  source: "plan" | "cap";
  limit: number;
}

/**
 * The limit that leaves least; null where none stops. What was set aside of prepaid credits for a meter is no such limit: it is raised as
 * long as there are credits, and those are shown on their own.
 */
function bindingLimit(counters: MeterCounters, credited: boolean): BindingLimit | null {
  const limits = PERIODS.flatMap((period) => {
    const c: PeriodCounters = counters[period];
    const remaining = (limit: number): number => limit - c.used - c.held;
    return [
      ...(c.plan === null || (credited && period === "month")
        ? []
        : [{ period, source: "plan" as const, limit: c.plan, remaining: remaining(c.plan) }]),
      ...(c.cap === null ? [] : [{ period, source: "cap" as const, limit: c.cap, remaining: remaining(c.cap) }]),
    ];
  });
  return limits.sort((a, b) => a.remaining - b.remaining || a.limit - b.limit)[0] ?? null;
}

function capReport(cap: Cap, view: View): CapReport {
  const counters = view.snapshot.meters.get(cap.meter)?.[cap.period];
  const { used, reserved, remaining, percent, state } = limitFigures(
    counters?.used ?? 0,
    heldIn(view, cap.meter, cap.period),
    cap.capValue,
    cap.notifyAtPercent,
  );
  const window = view.windows[cap.period];
  return {
    meter: cap.meter,
    period: cap.period,
    capValue: cap.capValue,
    hardStop: cap.hardStop,
    notifyAtPercent: cap.notifyAtPercent,
    used,
    reserved,
    remaining,
    percent,
    state,
    windowStart: iso(window.start),
    resetsAt: iso(window.end),
    notifyAt: thresholdOf(cap.capValue, cap.notifyAtPercent),
    updatedAt: iso(cap.updatedAt),
  };
}
