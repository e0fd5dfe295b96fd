import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Provider } from "./adapter.ts";

/** An hour's usage of a meter that is to be told, and ours for a while. */
export interface ClaimedUsage {
  account: string;
  meter: string;
  /** Where the hour begins, epoch ms. */
  bucket: number;
  /** What was told of it before, and what it comes to with this event. */
  sent: bigint;
  pending: bigint;
  failures: number;
  customer: string;
  lease: string;
}

/** Instants, epoch ms. */
export interface Span {
  from: number;
  to: number;
}

/** The hour of the newest event that was ever noted, epoch ms; null where none was. */
export async function newestEvent(db: Db): Promise<number | null> {
  const row = await reachPostgres(
    db.selectFrom("payment_meter_events").select("bucket").orderBy("bucket", "desc").limit(1).executeTakeFirst(),
  );
  return row?.bucket.getTime() ?? null;
}

/** Notes hours of which there is more to tell (weir_plan_meter_events); answers how many. */
export async function planMeterEvents(
  db: Db,
  provider: Provider,
  meters: readonly string[],
  { from, to }: Span,
  limit: number,
  now: number,
): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ n: number }>`
      select weir_plan_meter_events(${provider}, ${meters}::text[], ${iso(from)}::timestamptz, ${iso(to)}::timestamptz, ${limit}::integer,
        ${iso(now)}::timestamptz) as n`.execute(db),
  );
  return rows[0]?.n ?? 0;
}

/** What decides of an event that waits: how old its hour may be, and since when it may have arrived unanswered. Epoch ms. */
export interface Patience {
  oldest: number;
  certainAfter: number;
  until: number;
}

/** Takes one event that is due (weir_claim_meter_event); null where none is. */
export async function claimMeterEvent(
  db: Db,
  provider: Provider,
  lease: string,
  { oldest, certainAfter, until }: Patience,
  now: number,
): Promise<ClaimedUsage | null> {
  const { rows } = await reachPostgres(
    sql<Omit<ClaimedUsage, "bucket" | "lease"> & { bucket: Date }>`
      select * from weir_claim_meter_event(${provider}, ${iso(oldest)}::timestamptz, ${iso(certainAfter)}::timestamptz, ${iso(now)}::timestamptz,
        ${lease}, ${iso(until)}::timestamptz)`.execute(db),
  );
  const [row] = rows;
  return row ? { ...row, bucket: row.bucket.getTime(), lease } : null;
}

/** How an attempt ended: told; not told, and for certain; or nobody knows. */
export type EventEnd = { told: true } | { told: false; certain: boolean; error: string; nextAt: number };

/** Books how an attempt ended, unless somebody else has the event by now. */
export async function endMeterEvent(db: Db, { account, meter, bucket, lease }: ClaimedUsage, end: EventEnd): Promise<void> {
  const own = sql`account = ${account} and meter = ${meter} and bucket = ${iso(bucket)}::timestamptz and lease = ${lease}`;
  await reachPostgres(
    (end.told
      ? sql`
        update payment_meter_events set sent = pending, pending = null, unanswered_at = null, failures = 0, lease = null, error = null
        where ${own}`
      : sql`
        update payment_meter_events set unanswered_at = case when ${end.certain} then null else unanswered_at end, failures = failures + 1,
          lease = null, error = ${end.error}, next_attempt_at = ${iso(end.nextAt)}::timestamptz
        where ${own}`
    ).execute(db),
  );
}

/** How many events are parked, and what the oldest of them is about. */
export interface ParkedEvents {
  count: number;
  account: string;
  meter: string;
  /** Epoch ms. */
  bucket: number;
  error: string;
}

/** The events that are parked; null for none. */
export async function parkedEvents(db: Db): Promise<ParkedEvents | null> {
  const query = db.selectFrom("payment_meter_events").where("parked", "=", true);
  const first = await reachPostgres(query.selectAll().orderBy("bucket").limit(1).executeTakeFirst());
  if (!first) return null;
  const { n } = await reachPostgres(query.select((e) => e.fn.countAll<bigint>().as("n")).executeTakeFirstOrThrow());
  return { count: Number(n), account: first.account, meter: first.meter, bucket: first.bucket.getTime(), error: first.error ?? "" };
}

/** Forgets what was told of hours before `before`, epoch ms; at most `limit`. Answers how many. */
export async function forgetTold(db: Db, before: number, limit: number): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ n: number }>`
      with old as (
        select account, meter, bucket, provider from payment_meter_events
        where bucket < ${iso(before)}::timestamptz and not parked order by bucket limit ${limit}),
      gone as (
        delete from payment_meter_events e using old
        where (e.account, e.meter, e.bucket, e.provider) = (old.account, old.meter, old.bucket, old.provider) returning 1)
      select count(*)::integer as n from gone`.execute(db),
  );
  return rows[0]?.n ?? 0;
}
