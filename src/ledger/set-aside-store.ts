import { sql } from "kysely";
import { reachPostgres, type Db } from "../stores/database.ts";

/** Totals of one account's meter that came for hours that take nothing more: they were set aside, and count nothing. Epoch ms. */
export interface SetAside {
  account: string;
  meter: string;
  totals: number;
  quantity: bigint;
  from: number;
  to: number;
}

/** Totals that are looked at: a copy of a busy account's year is a million. */
const TOTALS_MAX = 100_000;

/** What was set aside, at most `limit` of it, the most first; of the first TOTALS_MAX totals. */
export async function usageSetAside(db: Db, limit: number): Promise<SetAside[]> {
  const { rows } = await reachPostgres(
    sql<{ account: string; meter: string; totals: number; quantity: string; first: Date; last: Date }>`
      select s.account, s.meter, count(*)::int as totals, sum(s.quantity)::text as quantity, min(s.bucket) as first, max(s.bucket) as last
      from (select account, meter, quantity, bucket from usage_set_aside limit ${TOTALS_MAX}) s
      group by s.account, s.meter order by count(*) desc, s.account, s.meter limit ${limit}`.execute(db),
  );
  return rows.map(({ account, meter, totals, quantity, first, last }) => ({
    account,
    meter,
    totals,
    quantity: BigInt(quantity),
    from: first.getTime(),
    to: last.getTime(),
  }));
}
