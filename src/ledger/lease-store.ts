import { sql } from "kysely";
import { iso, type Period, type Window } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";

/** A lease as Postgres knows it. Quantities by meter; times in epoch ms. */
export interface LeaseRow {
  account: string;
  /** Its name within the account: the source its usage is booked under. */
  lease: string;
  epoch: number;
  bucket: number;
  windows: Record<Period, Window>;
  holder: string;
  requestHash: string;
  ttlMs: number;
  granted: Map<string, number>;
  version: number;
  seq: number;
  expiresAt: number;
}

/** Leases written in one statement. */
export const LEASE_ROWS_MAX = 1_000;
/** Leases forgotten in one statement, and statements in one go. */
const FORGET_MAX = 20_000;
const FORGET_STATEMENTS_MAX = 500;

const WRITE_LEASES = loadQuery("write-leases");

/** A lease's name in all of Weir. */
export const leaseKey = ({ account, lease }: Pick<LeaseRow, "account" | "lease">): string => `${account}/${lease}`;

/**
 * Writes down what leases were granted (at most LEASE_ROWS_MAX, none twice). Answers those that are written, by `leaseKey`; one that is
 * missing was lent by a life that is over, or its name stands for another grant.
 */
export async function writeLeases(db: Db, leases: readonly LeaseRow[], now: number): Promise<Set<string>> {
  const column = <T>(of: (l: LeaseRow) => T): T[] => leases.map(of);
  const rows = await runQuery<{ account: string; lease: string }>(db, WRITE_LEASES, [
    column((l) => l.account),
    column((l) => l.lease),
    column((l) => String(l.epoch)),
    column((l) => iso(l.bucket)),
    column((l) => iso(l.windows.day.start)),
    column((l) => iso(l.windows.day.end)),
    column((l) => iso(l.windows.month.start)),
    column((l) => iso(l.windows.month.end)),
    column((l) => l.holder),
    column((l) => l.requestHash),
    column((l) => l.ttlMs),
    column((l) => JSON.stringify(Object.fromEntries(l.granted))),
    column((l) => String(l.version)),
    column((l) => String(l.seq)),
    column((l) => iso(l.expiresAt)),
    iso(now),
  ]);
  return new Set(rows.map(leaseKey));
}

/** One lease as Postgres has it; null where it was never written down. */
export async function findLease(db: Db, account: string, lease: string): Promise<LeaseRow | null> {
  const row = await reachPostgres(
    db.selectFrom("leases").selectAll().where("account", "=", account).where("lease", "=", lease).executeTakeFirst(),
  );
  if (!row) return null;
  return {
    account,
    lease,
    epoch: Number(row.epoch),
    bucket: row.bucket.getTime(),
    windows: {
      day: { start: row.day_start.getTime(), end: row.day_end.getTime() },
      month: { start: row.month_start.getTime(), end: row.month_end.getTime() },
    },
    holder: row.holder,
    requestHash: row.request,
    ttlMs: row.ttl_ms,
    granted: new Map(Object.entries(row.granted as Record<string, number>)),
    version: Number(row.version),
    seq: Number(row.seq),
    expiresAt: row.expires_at.getTime(),
  };
}

/** Notes that a lease was returned, settled up to `seq`. */
export async function noteReturned(
  db: Db,
  { account, lease }: Pick<LeaseRow, "account" | "lease">,
  seq: number,
  now: number,
): Promise<void> {
  await reachPostgres(
    sql`update leases set seq = greatest(seq, ${seq}::bigint), closed_at = coalesce(closed_at, ${iso(now)}::timestamptz)
        where account = ${account} and lease = ${lease}`.execute(db),
  );
}

/**
 * Notes a settle (`seq`), a return or both, of a lease whose life in Redis is over. Answers whether it is closed: an expired one that was
 * not settled since stays lent (as in lease.lua).
 */
export async function noteLate(
  db: Db,
  { account, lease }: Pick<LeaseRow, "account" | "lease">,
  { seq, isReturned }: { seq: number | null; isReturned: boolean },
  now: number,
): Promise<boolean> {
  const told = seq === null ? null : iso(now);
  const { rows } = await reachPostgres(
    sql<{ closed: boolean }>`
      update leases set seq = greatest(seq, ${seq}::bigint), told_at = greatest(told_at, ${told}::timestamptz),
        closed_at = case
          when ${isReturned}::boolean and (${iso(now)}::timestamptz < expires_at or greatest(told_at, ${told}::timestamptz) >= expires_at)
          then coalesce(closed_at, ${iso(now)}::timestamptz) else closed_at end
      where account = ${account} and lease = ${lease}
      returning closed_at is not null as closed`.execute(db),
  );
  return rows[0]?.closed ?? false;
}

/** What is booked of a lease: `service/namespace/meter` → quantity. */
export async function bookedByLease(
  db: Db,
  { account, lease, bucket }: Pick<LeaseRow, "account" | "lease" | "bucket">,
): Promise<Map<string, number>> {
  const rows = await reachPostgres(
    db
      .selectFrom("usage_buckets")
      .select(["service", "namespace", "meter", "quantity"])
      .where("account", "=", account)
      .where("bucket", "=", new Date(bucket))
      .where("source", "=", lease)
      .execute(),
  );
  return new Map(rows.map((row) => [`${row.service}/${row.namespace}/${row.meter}`, Number(row.quantity)]));
}

/** What open leases of other lives than `epoch` may still spend in the windows, by meter. */
export async function lentElsewhere(
  db: Db,
  account: string,
  epoch: number,
  windows: Record<Period, Window>,
): Promise<Map<string, Record<Period, number>>> {
  const { day, month } = windows;
  const { rows } = await reachPostgres(
    sql<{ period: Period; meter: string; quantity: bigint }>`
      select l.period, l.meter, l.quantity
      from weir_lent_of(${account}, ${epoch}, ${iso(day.start)}::timestamptz, ${iso(day.end)}::timestamptz,
                        ${iso(month.start)}::timestamptz, ${iso(month.end)}::timestamptz) l`.execute(db),
  );
  const lent = new Map<string, Record<Period, number>>();
  for (const { period, meter, quantity } of rows) {
    const of = lent.get(meter) ?? { day: 0, month: 0 };
    of[period] += Number(quantity);
    lent.set(meter, of);
  }
  return lent;
}

/** When the last lease of other lives than `epoch` ends that may still be spent, epoch ms; null where there is none. */
export async function lastExpiryElsewhere(db: Db, account: string, epoch: number, now: number): Promise<number | null> {
  // Kept alive until the end of its hour at most, by a Redis that is gone: when exactly, nobody knows.
  const { rows } = await reachPostgres(
    sql<{ ends: Date | null }>`
      select max(least(bucket + interval '1 hour' + make_interval(secs => ttl_ms / 1000.0), day_end, month_end,
                       ${iso(now)}::timestamptz + make_interval(secs => ttl_ms / 1000.0))) as ends
      from leases where account = ${account} and closed_at is null and epoch <> ${epoch}
        and bucket + interval '1 hour' + make_interval(secs => ttl_ms / 1000.0) > ${iso(now)}::timestamptz`.execute(db),
  );
  return rows[0]?.ends?.getTime() ?? null;
}

/** Forgets leases whose month ended before `before`, in bounded statements. Answers how many; what they spent stays booked. */
export async function forgetLeases(db: Db, before: number): Promise<number> {
  let forgotten = 0;
  for (let i = 0; i < FORGET_STATEMENTS_MAX; i++) {
    const { numAffectedRows } = await reachPostgres(
      sql`delete from leases where (account, lease) in (
        select account, lease from leases where month_end < ${iso(before)}::timestamptz limit ${FORGET_MAX} for update skip locked
      )`.execute(db),
    );
    const gone = Number(numAffectedRows ?? 0);
    forgotten += gone;
    if (gone < FORGET_MAX) break;
  }
  return forgotten;
}
