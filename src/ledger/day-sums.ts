import { iso } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";

const OLD_MONTHS = loadQuery("old-months");
const SUM_DAYS = loadQuery("sum-days");

/** Accounts in one statement, which holds their locks: a busy one has some 50,000 rows a month. */
const ACCOUNTS_AT_ONCE = 20;

export interface SummedDays {
  /** Rows that went, and rows that came in their place. */
  hours: number;
  days: number;
}

/**
 * Sums hours by day in months that ended `keptMonths` whole months ago or earlier (docs/decisions/0039). Every sum of a day, a billing month and
 * a stretch under one plan stays what it was. Accounts that are not billed for a month yet keep its hours. Any process, any number of times.
 */
export async function sumOldDays(db: Db, keptMonths: number, now: number): Promise<SummedDays> {
  const today = new Date(now);
  const before = Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - keptMonths);
  const summed: SummedDays = { hours: 0, days: 0 };
  for (const month of await runQuery<{ start: string; end: string }>(db, OLD_MONTHS, [iso(before)])) {
    for (let after: string | null = ""; after !== null;) {
      const [row]: { last: string | null; hours: number; days: number }[] = await runQuery(db, SUM_DAYS, [
        after,
        ACCOUNTS_AT_ONCE,
        month.start,
        month.end,
      ]);
      summed.hours += row?.hours ?? 0;
      summed.days += row?.days ?? 0;
      after = row?.last ?? null;
    }
  }
  return summed;
}
