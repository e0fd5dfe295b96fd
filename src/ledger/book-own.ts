import { HOUR_MS } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { BOOK_ROWS_MAX, bookObjectLevels, bookUsage } from "./ledger-store.ts";
import type { UnbookedTotals } from "./unbooked.ts";

/** Buckets that began longer ago than this grow no more: an hour, and room for clocks that lag. */
const BUCKET_OPEN_MS = 2 * HOUR_MS;

/**
 * Books this process' own copies straight to Postgres and forgets what is closed. The roll-up brings the same totals from Redis,
 * so this is a no-op while Redis lives, and the way nothing is lost when it does not. Answers the accounts to be refreshed.
 */
export async function bookOwn(db: Db, unbooked: UnbookedTotals, accounts: readonly string[], now: number): Promise<string[]> {
  const outdated = new Set<string>();
  for (const account of accounts) {
    const totals = unbooked.totalsOf(account);
    const levels = unbooked.levelsOf(account);
    for (let i = 0; i < totals.length; i += BOOK_ROWS_MAX) {
      for (const changed of await bookUsage(db, totals.slice(i, i + BOOK_ROWS_MAX))) outdated.add(changed);
    }
    for (let i = 0; i < levels.length; i += BOOK_ROWS_MAX) await bookObjectLevels(db, levels.slice(i, i + BOOK_ROWS_MAX));
    unbooked.forget(account, totals, levels, now - BUCKET_OPEN_MS);
  }
  return [...outdated];
}
