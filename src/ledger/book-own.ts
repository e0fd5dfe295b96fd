import { HOUR_MS } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { bookAll } from "./book-all.ts";
import type { UnbookedTotals } from "./unbooked.ts";

/** Buckets that began longer ago than this grow no more: an hour, and room for clocks that lag. */
const BUCKET_OPEN_MS = 2 * HOUR_MS;

// One booking of an account at a time: two could forget the same answered keys twice.
const running = new WeakMap<UnbookedTotals, Map<string, Promise<string[]>>>();

/**
 * Books this process' own copies straight to Postgres and forgets what is closed. The roll-up brings the same totals from Redis,
 * so this is a no-op while Redis lives, and the way nothing is lost when it does not. Answers the accounts to be refreshed.
 */
export async function bookOwn(db: Db, unbooked: UnbookedTotals, accounts: readonly string[], now: number): Promise<string[]> {
  const outdated = new Set<string>();
  for (const account of accounts) {
    for (const changed of await bookAccount(db, unbooked, account, now)) outdated.add(changed);
  }
  return [...outdated];
}

async function bookAccount(db: Db, unbooked: UnbookedTotals, account: string, now: number): Promise<string[]> {
  const own = running.get(unbooked) ?? new Map<string, Promise<string[]>>();
  running.set(unbooked, own);
  // What was acknowledged after the booking under way began is not in it: wait, then book again.
  while (own.has(account)) await own.get(account)?.catch(() => {});
  const booking = bookCopies(db, unbooked, account, now).finally(() => own.delete(account));
  own.set(account, booking);
  return booking;
}

async function bookCopies(db: Db, unbooked: UnbookedTotals, account: string, now: number): Promise<string[]> {
  const copies = unbooked.copiesOf(account);
  const booked = await bookAll(db, copies);
  unbooked.forget(account, copies, now - BUCKET_OPEN_MS);
  return booked.filter(({ rose }) => rose).map((b) => b.account);
}
