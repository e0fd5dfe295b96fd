import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";
import type { ObjectPlace } from "./object-store.ts";

/** Rows forgotten in one statement, and statements in one go. */
const FORGET_ROWS_MAX = 20_000;
const FORGET_STATEMENTS_MAX = 500;

const BOOK_REQUESTS = loadQuery("book-object-requests");

/** Requests of one object, within one billing month. */
export interface RequestedObject extends ObjectPlace {
  account: string;
  /** Epoch ms. */
  monthStart: number;
  requests: number;
}

/** Rows of one source that are booked together, once: its batches are numbered upward. */
export interface RequestBatch {
  source: string;
  number: number;
  rows: readonly RequestedObject[];
}

/** Adds a batch, unless it was added before. */
export async function bookObjectRequests(db: Db, { source, number, rows }: RequestBatch, now: number): Promise<void> {
  const column = <T>(of: (row: RequestedObject) => T): T[] => rows.map(of);
  await runQuery(db, BOOK_REQUESTS, [
    source,
    String(number),
    iso(now),
    column((r) => r.account),
    column((r) => r.service),
    column((r) => r.namespace),
    column((r) => r.object),
    column((r) => iso(r.monthStart)),
    column((r) => String(r.requests)),
  ]);
}

/** Forgets objects whose last month began before `before` (epoch ms), and what is known of processes that are gone as long. Answers how many rows. */
export async function forgetObjectRequests(db: Db, before: number): Promise<number> {
  let forgotten = 0;
  for (let i = 0; i < FORGET_STATEMENTS_MAX; i++) {
    const { numAffectedRows } = await reachPostgres(
      sql`delete from object_requests where (account, service, namespace, object) in (
        select account, service, namespace, object from object_requests where month_start < ${iso(before)}::timestamptz
        order by month_start limit ${FORGET_ROWS_MAX} for update skip locked
      )`.execute(db),
    );
    const gone = Number(numAffectedRows ?? 0);
    forgotten += gone;
    if (gone < FORGET_ROWS_MAX) break;
  }
  await reachPostgres(sql`delete from object_request_batches where booked_at < ${iso(before)}::timestamptz`.execute(db));
  return forgotten;
}
