import { nextTurn } from "../kernel/clock.ts";
import { HOUR_MS } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { bookAll } from "./book-all.ts";
import { inHalves } from "./in-halves.ts";
import type { UnbookedTotals } from "./unbooked.ts";

/** Buckets that began longer ago than this grow no more: an hour, and room for clocks that lag. */
export const BUCKET_OPEN_MS = 2 * HOUR_MS;

/** Accounts booked together. One by one each waits for Postgres' disk: a recall of 400 took seconds, and every caller gave up. */
const ACCOUNTS_PER_BATCH = 200;

// One booking of an account at a time: what two send at once is sent twice for nothing.
const running = new WeakMap<UnbookedTotals, Map<string, Promise<void>>>();

export interface OwnBooked {
  /** Accounts to be refreshed. */
  outdated: string[];
  /** Why an account was not booked whose totals the ledger refuses; its copies are kept. The others are booked. */
  refused: Error | null;
}

/**
 * Books this process' own copies straight to Postgres and forgets what is closed. The roll-up brings the same totals from Redis,
 * so this is a no-op while Redis lives, and the way nothing is lost when it does not. Rejects where Postgres cannot be reached.
 */
export async function bookOwn(db: Db, unbooked: UnbookedTotals, accounts: readonly string[], now: number): Promise<OwnBooked> {
  const outdated = new Set<string>();
  let refused: Error | null = null;
  for (let i = 0; i < accounts.length; i += ACCOUNTS_PER_BATCH) {
    const fault = await inHalves(accounts.slice(i, i + ACCOUNTS_PER_BATCH), (batch) => bookTogether(db, unbooked, batch, now, outdated));
    refused ??= fault;
    // Of a million accounts of which nothing is to be booked no batch waits for Postgres: whoever else has something to do would wait for all.
    await nextTurn();
  }
  return { outdated: [...outdated], refused };
}

async function bookTogether(db: Db, unbooked: UnbookedTotals, accounts: string[], now: number, outdated: Set<string>): Promise<void> {
  const own = running.get(unbooked) ?? new Map<string, Promise<void>>();
  running.set(unbooked, own);
  // What was acknowledged after the booking under way began is not in it: wait, then book again.
  const underWay = (): Promise<void>[] => accounts.flatMap((account) => own.get(account) ?? []);
  for (let before = underWay(); before.length > 0; before = underWay()) await Promise.allSettled(before);
  const booking = bookCopies(db, unbooked, accounts, now, outdated).finally(() => {
    for (const account of accounts) own.delete(account);
  });
  for (const account of accounts) own.set(account, booking);
  return booking;
}

async function bookCopies(db: Db, unbooked: UnbookedTotals, accounts: string[], now: number, outdated: Set<string>): Promise<void> {
  const copies = accounts.map((account) => unbooked.copiesOf(account));
  const together = {
    totals: copies.flatMap(({ totals }) => totals),
    levels: copies.flatMap(({ levels }) => levels),
    gauges: copies.flatMap(({ gauges }) => gauges),
    keys: copies.flatMap(({ keys }) => keys),
  };
  for (const { account, rose } of await bookAll(db, together)) if (rose) outdated.add(account);
  for (const [i, account] of accounts.entries()) {
    const booked = copies[i];
    if (booked) unbooked.forget(account, booked, now - BUCKET_OPEN_MS);
  }
}
