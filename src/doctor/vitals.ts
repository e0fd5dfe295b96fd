import { dirtyCount, rolledUpAt } from "../counters/collect.ts";
import type { Counters } from "../counters/counters.ts";
import { DAY_MS, dayWindow, type Period } from "../kernel/window.ts";
import { strandedInAll } from "../ledger/stranded-store.ts";
import type { UnbookedTotals } from "../ledger/unbooked.ts";
import { outboxState } from "../notifications/outbox-store.ts";
import type { Db } from "../stores/database.ts";

/** No billing month that is open began earlier. */
const MONTH_MAX_MS = 31 * DAY_MS;

/** The state of what runs in the background; null for a store that does not answer. */
export interface Vitals {
  /** Accounts of which this process keeps unbooked copies. */
  unbookedAccounts: number;
  /** `rollUpLagMs`: everything acknowledged longer ago is booked; null where no roll-up has ended yet. */
  redis: { dirtyAccounts: number; rollUpLagMs: number | null } | null;
  postgres: {
    /** Base quantities. */
    stranded: { meter: string; period: Period; quantity: number }[];
    outbox: { pending: number; oldestDueMs: number };
  } | null;
}

/** Asks both stores. Never throws. */
export async function vitals(stores: { db: Db; counters: Counters; unbooked: UnbookedTotals }, now: number): Promise<Vitals> {
  const { db, counters, unbooked } = stores;
  const since = { day: dayWindow(now).start, month: now - MONTH_MAX_MS };
  const [dirtyAccounts, rolledUp, stranded, outbox] = await Promise.allSettled([
    dirtyCount(counters.redis, counters.keys),
    rolledUpAt(counters.redis, counters.keys),
    strandedInAll(db, since),
    outboxState(db, now),
  ]);
  const counted = dirtyAccounts.status === "fulfilled" && rolledUp.status === "fulfilled";
  const told = stranded.status === "fulfilled" && outbox.status === "fulfilled";
  const rollUpLagMs = (at: number | null): number | null => (at === null ? null : Math.max(0, now - at));
  return {
    unbookedAccounts: unbooked.accounts().length,
    redis: counted ? { dirtyAccounts: dirtyAccounts.value, rollUpLagMs: rollUpLagMs(rolledUp.value) } : null,
    postgres: told ? { stranded: stranded.value, outbox: outbox.value } : null,
  };
}
