import type { Db } from "../stores/database.ts";
import { BOOK_ROWS_MAX, bookGauges, bookKeys, bookObjectLevels, bookUsage } from "./ledger-store.ts";
import type { Copies } from "./unbooked.ts";

/**
 * Books totals, sizes, gauges and answered keys, in statements of bounded size. Each is "the latest wins" or "the first stays", so
 * any of them may be repeated. Keys go first: a counted operation must never be booked without the key that keeps it from counting again.
 * Answers the accounts whose present epoch must be told of new sums.
 */
export async function bookAll(db: Db, { totals, levels, gauges, keys }: Copies): Promise<string[]> {
  const outdated = new Set<string>();
  for (const rows of chunks(keys)) await bookKeys(db, rows);
  for (const rows of chunks(totals)) for (const account of await bookUsage(db, rows)) outdated.add(account);
  for (const rows of chunks(levels)) await bookObjectLevels(db, rows);
  for (const rows of chunks(gauges)) await bookGauges(db, rows);
  return [...outdated];
}

function* chunks<T>(rows: readonly T[]): Generator<T[]> {
  for (let i = 0; i < rows.length; i += BOOK_ROWS_MAX) yield rows.slice(i, i + BOOK_ROWS_MAX);
}
