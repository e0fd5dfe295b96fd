import { sql } from "kysely";
import { DAY_MS, iso, type Window } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";
import { ensurePartitions } from "./ledger-store.ts";

/** Lines in one statement: it holds its accounts' locks for as long as it runs, and 5,000 lines take some 50 ms. */
export const EVENT_LINES_MAX = 5_000;

/** The contract promises 24 h; as much again for clocks that differ and for a sender that was away over a day. */
const KEYS_KEPT_MS = 2 * DAY_MS;
/** Keys forgotten in one statement, and statements in one go: at 20,000 keys a statement it ends within about 0.1 s. */
const FORGET_KEYS_MAX = 20_000;
const FORGET_STATEMENTS_MAX = 500;

const BOOK_EVENTS = loadQuery("book-events");

/** What an event adds to one hour bucket. */
export interface EventLine {
  /** Epoch ms. */
  bucket: number;
  meter: string;
  service: string;
  namespace: string;
  quantity: number;
}

export interface BookableEvent {
  /** 32 hex digits: who sent it, source and id. */
  key: string;
  account: string;
  lines: readonly EventLine[];
}

/** What became of an account's events. */
export interface BookedEvents {
  /** The account's foreign_seq, these events included: what Redis must be told. */
  foreignSeq: number;
  /** Indexes of the events that were counted now; the others were counted before. */
  counted: number[];
}

/**
 * Counts the events whose keys are new (at most EVENT_LINES_MAX lines, no key twice), in one statement with their keys. An account
 * that is missing in the answer is unknown, or no longer at the foreign_seq `expected` for it: nothing of it was counted.
 * Throws a Postgres error 23514 when a bucket would pass 2^53 − 1: nothing was counted then.
 */
export async function bookEvents(
  db: Db,
  events: readonly BookableEvent[],
  expected: ReadonlyMap<string, number>,
  now: number,
): Promise<Map<string, BookedEvents>> {
  if (events.length === 0) return new Map();
  const accounts = [...new Set(events.map((e) => e.account))];
  const lines = events.flatMap((event, i) => event.lines.map((line) => ({ place: i + 1, ...line })));
  await ensurePartitions(
    db,
    lines.map((l) => l.bucket),
  );
  const rows = await runQuery<{ account: string; foreign_seq: bigint; places: number[] }>(db, BOOK_EVENTS, [
    accounts,
    accounts.map((a) => expected.get(a)?.toString() ?? null),
    events.map((e) => e.key),
    events.map((e) => e.account),
    iso(now),
    lines.map((l) => l.place),
    lines.map((l) => iso(l.bucket)),
    lines.map((l) => l.meter),
    lines.map((l) => l.service),
    lines.map((l) => l.namespace),
    lines.map((l) => l.quantity.toString()),
  ]);
  return new Map(rows.map((r) => [r.account, { foreignSeq: Number(r.foreign_seq), counted: r.places.map((place) => place - 1) }]));
}

/** True for the error of `bookEvents` that says that a bucket is full. */
export const isFullBucket = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === "23514";

/** Which of the keys were counted already. */
export async function findEventKeys(db: Db, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const { rows } = await reachPostgres(
    sql<{ key: string }>`select replace(key::text, '-', '') as key from event_keys where key = any (${keys}::uuid[])`.execute(db),
  );
  return new Set(rows.map((r) => r.key));
}

/** Everything booked of an account in the windows, by meter, with the foreign_seq it is true for. Sums may pass 2^53. */
export async function bookedInWindows(
  db: Db,
  account: string,
  windows: readonly Window[],
): Promise<{ foreignSeq: number; sums: Map<string, bigint>[] }> {
  const { rows } = await reachPostgres(
    sql<{ foreign_seq: bigint; window_no: number | null; meter: string; quantity: string }>`
      select a.foreign_seq, s.window_no, s.meter, s.quantity
      from accounts a left join lateral (
        select w.window_no::int as window_no, u.meter, sum(u.quantity)::text as quantity
        from unnest(${windows.map((w) => iso(w.start))}::timestamptz[], ${windows.map((w) => iso(w.end))}::timestamptz[])
          with ordinality as w (starts, ends, window_no)
        join usage_buckets u on u.account = a.account and u.bucket >= w.starts and u.bucket < w.ends
        group by 1, 2
      ) s on true
      where a.account = ${account}`.execute(db),
  );
  const sums = windows.map(() => new Map<string, bigint>());
  for (const row of rows) {
    if (row.window_no !== null) sums[row.window_no - 1]?.set(row.meter, BigInt(row.quantity));
  }
  return { foreignSeq: Number(rows[0]?.foreign_seq ?? 0), sums };
}

/** Forgets keys that no duplicate is expected of any more, in bounded statements. Answers how many; run it as often as you like. */
export async function forgetEventKeys(db: Db, now: number): Promise<number> {
  const before = iso(now - KEYS_KEPT_MS);
  let forgotten = 0;
  for (let i = 0; i < FORGET_STATEMENTS_MAX; i++) {
    // Rows that another process is forgetting now are left to it.
    const { numAffectedRows } = await reachPostgres(
      sql`delete from event_keys where key in (
        select key from event_keys where received_at < ${before}::timestamptz order by received_at limit ${FORGET_KEYS_MAX} for update skip locked
      )`.execute(db),
    );
    const gone = Number(numAffectedRows ?? 0);
    forgotten += gone;
    if (gone < FORGET_KEYS_MAX) break;
  }
  return forgotten;
}
