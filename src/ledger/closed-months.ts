import { DAY_MS, iso } from "../kernel/window.ts";
import { loadQuery } from "../stores/database.ts";
import { MAINTENANCE_LOCK, openMaintenance } from "../stores/maintenance.ts";

const UNCOVERED_MONTHS = loadQuery("uncovered-months");

/** By then what came late has mostly been booked. What comes later still is booked as ever, at the price of one more index entry. */
const SETTLED_AFTER_MS = 2 * DAY_MS;
/** In one go: a year that was brought in from elsewhere. */
const MONTHS_AT_ONCE = 12;

/**
 * Gives each month of the ledger that is over an index that holds all that histories read, and answers the partitions it did.
 * Why not from the start: quantities of the running month grow each second, and each growth would write a new entry into every index.
 * Why at all: a year of hours by three services lies in 6,087 pages of the tables and in 300 of this index (20 ms and 5 ms).
 * Writers are not kept waiting; where it was interrupted, it begins again. While another process is at it, it does nothing.
 */
export async function indexClosedMonths(databaseUrl: string, now: number): Promise<string[]> {
  const maintenance = openMaintenance(databaseUrl);
  try {
    const [lock] = await maintenance.ask<{ mine: boolean }>("select pg_try_advisory_lock($1::bigint) as mine", [MAINTENANCE_LOCK]);
    if (lock?.mine !== true) return [];
    const months = await maintenance.ask<{ partition: string; index: string; broken: boolean }>(UNCOVERED_MONTHS, [
      iso(now - SETTLED_AFTER_MS),
      MONTHS_AT_ONCE,
    ]);
    for (const { partition, index, broken } of months) {
      if (broken) await maintenance.run(`drop index concurrently if exists ${index}`);
      await maintenance.run(
        `create index concurrently if not exists ${index} on ${partition} (account, meter, bucket) include (service, namespace, quantity)`,
      );
      // An index answers alone only for pages that are known to be visible to all.
      await maintenance.run(`vacuum (analyze) ${partition}`);
    }
    return months.map(({ partition }) => partition);
  } finally {
    await maintenance.close();
  }
}
