import type { Snapshot } from "../counters/counters.ts";
import { WeirError } from "../kernel/errors.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { dayWindow, PERIODS, type Window } from "../kernel/window.ts";
import { bookedInWindows, findEventKeys } from "../ledger/event-store.ts";
import type { GateStores } from "./account-loader.ts";
import type { DatedEvent } from "./event-lines.ts";

/** Up to here a counter is far from its end: 2^52, half of what fits. */
const FAR_BELOW = 2 ** 52;
/** What a batch may add without looking closer (17 TB of a meter in bytes): 255 of them at once could not fill the other half. */
const SMALL_BATCH = 2 ** 44;

/** Which events of an account would push one of its counters past 2^53 − 1. */
export interface Headroom {
  overflowing: Set<DatedEvent>;
  /** The foreign_seq this was found at, where it is exact only there; null where there is room to spare. */
  foreignSeq: number | null;
}

const ROOMY: Headroom = { overflowing: new Set(), foreignSeq: null };

/**
 * Finds the events that would not fit, by account. Two looks: a glance at Redis, which nearly every batch passes, in one trip for all
 * accounts; and an exact sum of what is booked in each window. `exact` skips the glance.
 */
export async function headroomOf(stores: GateStores, events: readonly DatedEvent[], exact: boolean): Promise<Map<string, Headroom>> {
  const byAccount = [...Map.groupBy(events, (e) => e.account)].map(([account, own]) => ({ account, own, batch: batchTotals(own) }));
  const counting = byAccount.filter(({ batch }) => batch.size > 0);
  const roomy = exact ? [] : await glance(stores, counting);
  const left = counting.filter((_, i) => roomy[i] !== true);
  const found = await Promise.all(left.map((one) => exactHeadroom(stores, one, exact)));
  return new Map(left.map(({ account }, i) => [account, found[i] ?? ROOMY]));
}

interface Batch {
  account: string;
  own: readonly DatedEvent[];
  /** Quantities by meter. As doubles: they decide only whether to look closer. */
  batch: ReadonlyMap<string, number>;
}

/** True for each batch that is small, and whose events all lie in the month whose sums stand in Redis, all of them far below the end. */
async function glance({ counters }: GateStores, batches: readonly Batch[]): Promise<boolean[]> {
  const glances = batches.map(({ account, own, batch }) => ({ account, monthStart: own[0]?.month.start ?? 0, meters: [...batch.keys()] }));
  try {
    const roomy = await counters.foreign.isRoomy(glances, FAR_BELOW);
    return batches.map(({ own, batch }, i) => roomy[i] === true && isSmall(batch) && inOneMonth(own));
  } catch (error) {
    if (isAway(error)) return [];
    throw error;
  }
}

const isSmall = (batch: ReadonlyMap<string, number>): boolean => [...batch.values()].every((quantity) => quantity <= SMALL_BATCH);

const inOneMonth = ([first, ...others]: readonly DatedEvent[]): boolean => others.every(({ month }) => month.start === first?.month.start);

// Events are counted in Postgres: a Redis that is away does not stop them.
const isAway = (error: unknown): boolean => error instanceof WeirError && error.code === "unavailable";

function batchTotals(events: readonly DatedEvent[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { lines } of events) for (const { meter, quantity } of lines) totals.set(meter, (totals.get(meter) ?? 0) + quantity);
  return totals;
}

async function presentCounters({ counters }: GateStores, account: string, meters: string[]): Promise<Snapshot | null> {
  try {
    return await counters.read(
      account,
      meters.map((name) => ({ name, kind: "counter" })),
    );
  } catch (error) {
    if (isAway(error)) return null;
    throw error;
  }
}

async function exactHeadroom(stores: GateStores, { account, own: events, batch }: Batch, exact: boolean): Promise<Headroom> {
  const present = await presentCounters(stores, account, [...batch.keys()]);
  const windows = windowsOf(events);
  const { foreignSeq, sums } = await bookedInWindows(stores.db, account, windows);
  const far = sums.every((byMeter) => [...byMeter.values()].every((sum) => sum <= BigInt(FAR_BELOW)));
  if (!exact && isSmall(batch) && far) return ROOMY;
  const totals = windows.map((window, i) => ({ window, byMeter: sums[i] ?? new Map<string, bigint>() }));
  if (present) addUnbooked(totals, present);
  // What was counted before is in the sums already, and will be found to be a duplicate.
  const known = await findEventKeys(
    stores.db,
    events.map((e) => e.key),
  );
  const fresh = events.filter((e) => !known.has(e.key));
  return { overflowing: overflowing(fresh, totals), foreignSeq };
}

interface WindowTotals {
  window: Window;
  byMeter: Map<string, bigint>;
}

/** The days and months the events lie in, each once. */
function windowsOf(events: readonly DatedEvent[]): Window[] {
  const windows = new Map<string, Window>();
  for (const { at, month } of events) for (const w of [dayWindow(at), month]) windows.set(`${w.start}/${w.end}`, w);
  return [...windows.values()];
}

/** Redis may have counted what is not booked yet. */
function addUnbooked(totals: readonly WindowTotals[], { header, meters }: Snapshot): void {
  for (const { window, byMeter } of totals) {
    for (const period of PERIODS) {
      if (header[period].start !== window.start || header[period].end !== window.end) continue;
      for (const [meter, counters] of meters) {
        const live = BigInt(counters[period].used) + BigInt(counters[period].held);
        if (live > (byMeter.get(meter) ?? 0n)) byMeter.set(meter, live);
      }
    }
  }
}

/** Adds up the events in their order; one that does not fit is left out whole, and those after it may still fit. */
function overflowing(events: readonly DatedEvent[], totals: readonly WindowTotals[]): Set<DatedEvent> {
  const found = new Set<DatedEvent>();
  for (const event of events) {
    const own = totals.filter(({ window }) => event.at >= window.start && event.at < window.end);
    const after = own.flatMap(({ byMeter }) =>
      event.lines.map(({ meter, quantity }) => ({ byMeter, meter, sum: (byMeter.get(meter) ?? 0n) + BigInt(quantity) })),
    );
    if (after.some(({ sum }) => sum > BigInt(QUANTITY_MAX))) found.add(event);
    else for (const { byMeter, meter, sum } of after) byMeter.set(meter, sum);
  }
  return found;
}
