import type { Sql } from "postgres";
import { checkInvariants } from "../../src/ledger/invariants.ts";
import { windowsAt, type Period } from "../../src/kernel/window.ts";
import type { Db } from "../../src/stores/database.ts";

/** Of the accounts that tests make, unless they say otherwise. */
const CALENDAR = { anchorDay: 1, timezone: "UTC" };

export interface Limit {
  meter: string;
  period: Period;
  limit: number;
}

/** What the ledger has of one meter in one hour. */
export interface Booked {
  meter: string;
  bucket: Date;
  quantity: bigint;
}

export const sum = (rows: readonly Booked[]): number => rows.reduce((total, row) => total + Number(row.quantity), 0);

/** What the ledger has of an account; bigints come as such. */
export const bookedOf = (sql: Sql, account: string): Promise<Booked[]> => sql<Booked[]>`
  select meter, bucket, sum(quantity)::bigint as quantity from usage_buckets where account = ${account} group by meter, bucket`;

/** The windows in which more is booked than a limit allows, and by how much. */
export function overLimits(booked: readonly Booked[], limits: readonly Limit[]): (Limit & { start: number; over: number })[] {
  return limits.flatMap((of) => {
    const rows = booked.filter(({ meter }) => meter === of.meter);
    const byWindow = Map.groupBy(rows, (row) => windowsAt(row.bucket.getTime(), CALENDAR)[of.period].start);
    return [...byWindow].map(([start, inWindow]) => ({ ...of, start, over: sum(inWindow) - of.limit })).filter(({ over }) => over > 0);
  });
}

/** Units of a limit that were granted to lives of Redis that have ended, and neither spent nor freed; window by window. */
export function strandedOf(sql: Sql, account: string, { meter, period }: Limit): Promise<{ stranded: bigint; start: Date }[]> {
  const length = period === "day" ? "1 day" : "1 month";
  return sql<{ stranded: bigint; start: Date }[]>`
    select g.window_start as start, coalesce(sum(greatest(0, g.granted - coalesce((
      select sum(u.quantity) from usage_buckets u
      where u.account = g.account and u.meter = g.meter and u.epoch = g.epoch and u.bucket >= g.window_start and u.bucket < g.window_start + ${length}::interval
    ), 0))), 0)::bigint as stranded
    from grants g join accounts a using (account)
    where g.account = ${account} and g.meter = ${meter} and g.period = ${period} and g.sealed_at is null and g.epoch <> a.epoch
    group by g.window_start`;
}

/** What the queries of sql/checks find. */
export async function brokenInvariants(db: Db, now: number): Promise<string[]> {
  const results = await checkInvariants(db, now);
  return results
    .filter(({ violations, finished }) => violations.length > 0 || !finished)
    .map((r) => `sql/checks/${r.check}: ${JSON.stringify(r.violations.slice(0, 3))}`);
}
