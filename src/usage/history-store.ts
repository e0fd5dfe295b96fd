import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

export interface HistoryQuery {
  account: string;
  meter: string;
  granularity: "hour" | "day" | "month";
  /** Epoch ms, half-open. */
  from: number;
  to: number;
  groupBy: "service" | "namespace" | null;
}

export interface HistoryPoint {
  start: number;
  quantity: number;
  group?: string;
}

/**
 * Booked quantities and corrections by UTC hour, day or month, oldest first; spans without either are left out. A correction stands in the span
 * of its instant, in the group "" (it belongs to no service), and may bring that span below 0.
 */
export async function usageHistory(db: Db, query: HistoryQuery): Promise<HistoryPoint[]> {
  const group = query.groupBy === null ? sql`''` : sql.ref(`u.${query.groupBy}`);
  const { rows } = await reachPostgres(
    sql<{ start: Date; quantity: string; grp: string }>`
      select date_trunc(${query.granularity}, u.bucket, 'UTC') as start, ${group} as grp, sum(u.quantity)::text as quantity
      from (
        select account, meter, bucket, service, namespace, quantity from usage_buckets
        union all
        select account, meter, at, '', '', quantity from corrections
      ) u
      where u.account = ${query.account} and u.meter = ${query.meter} and u.bucket >= ${iso(query.from)}::timestamptz and u.bucket < ${iso(query.to)}::timestamptz
      group by 1, 2 order by 1, 2`.execute(db),
  );
  return rows.map((row) => ({
    start: row.start.getTime(),
    quantity: Number(row.quantity),
    ...(query.groupBy === null ? {} : { group: row.grp }),
  }));
}
