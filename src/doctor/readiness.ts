import { dirtyCount, rolledUpAt } from "../counters/collect.ts";
import type { Counters } from "../counters/counters.ts";
import { WeirError } from "../kernel/errors.ts";
import type { Db } from "../stores/database.ts";
import { pendingMigrations } from "../stores/migration-state.ts";

/** Whether requests can be answered now. A store that does not answer is told by its message. */
export interface Readiness {
  ready: boolean;
  postgres: { pendingMigrations: string[] } | { away: string };
  /** `rollUpLagMs`: everything acknowledged longer ago is booked; null where no roll-up has ended yet. */
  redis: { dirtyAccounts: number; rollUpLagMs: number | null } | { away: string };
}

/** Asks both stores, and whether the schema is this program's. Never throws. A late roll-up is told, but stops no request. */
export async function readiness(
  { db, counters: { redis: servers, keys } }: { db: Db; counters: Counters },
  now: number,
): Promise<Readiness> {
  const [postgres, redis] = await Promise.all([
    answerOf(async () => ({ pendingMigrations: await pendingMigrations(db) })),
    answerOf(async () => {
      const [dirtyAccounts, at] = await Promise.all([dirtyCount(servers, keys), rolledUpAt(servers, keys)]);
      return { dirtyAccounts, rollUpLagMs: at === null ? null : Math.max(0, now - at) };
    }),
  ]);
  const ready = !("away" in redis) && !("away" in postgres) && postgres.pendingMigrations.length === 0;
  return { ready, postgres, redis };
}

async function answerOf<T>(ask: () => Promise<T>): Promise<T | { away: string }> {
  try {
    return await ask();
  } catch (error) {
    // Anybody may ask: what else went wrong is the log's.
    return { away: error instanceof WeirError ? error.message : "cannot be asked" };
  }
}
