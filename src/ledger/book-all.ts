import type { Db } from "../stores/database.ts";
import type { AnsweredKey, BucketTotal } from "./bucket.ts";
import { BOOK_ROWS_MAX, bookGauges, bookObjectLevels, bookUsage, type BookedAccount } from "./ledger-store.ts";
import type { Copies } from "./unbooked.ts";

type BookStep = "usage booked" | "levels booked" | "gauges booked";

/**
 * Books totals, sizes, gauges and answered keys, in statements of bounded size. Each is "the latest wins" or "the first stays", so
 * any of them may be repeated. An account's totals and keys stay in one statement: a counted operation must never be booked without
 * the key that keeps it from counting again, nor an answer without what it counted.
 * Answers the accounts that had totals or keys.
 */
export async function bookAll(
  db: Db,
  { totals, levels, gauges, keys }: Copies,
  onStep: (step: BookStep) => void = () => {},
): Promise<BookedAccount[]> {
  const booked: BookedAccount[] = [];
  for (const batch of batches(totals, keys)) booked.push(...(await bookUsage(db, batch.totals, batch.keys)));
  onStep("usage booked");
  for (const rows of chunks(levels)) await bookObjectLevels(db, rows);
  onStep("levels booked");
  for (const rows of chunks(gauges)) await bookGauges(db, rows);
  onStep("gauges booked");
  return booked;
}

interface Batch {
  totals: BucketTotal[];
  keys: AnsweredKey[];
}

/** Whole accounts together, up to BOOK_ROWS_MAX rows; one account that has more goes alone. */
function* batches(totals: readonly BucketTotal[], keys: readonly AnsweredKey[]): Generator<Batch> {
  const totalsOf = Map.groupBy(totals, (total) => total.account);
  const keysOf = Map.groupBy(keys, (key) => key.account);
  let batch: Batch = { totals: [], keys: [] };
  for (const account of new Set([...totalsOf.keys(), ...keysOf.keys()])) {
    const next = { totals: totalsOf.get(account) ?? [], keys: keysOf.get(account) ?? [] };
    const rows = batch.totals.length + batch.keys.length;
    if (rows > 0 && rows + next.totals.length + next.keys.length > BOOK_ROWS_MAX) {
      yield batch;
      batch = { totals: [], keys: [] };
    }
    for (const total of next.totals) batch.totals.push(total);
    for (const key of next.keys) batch.keys.push(key);
  }
  yield batch;
}

function* chunks<T>(rows: readonly T[]): Generator<T[]> {
  for (let i = 0; i < rows.length; i += BOOK_ROWS_MAX) yield rows.slice(i, i + BOOK_ROWS_MAX);
}
