import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** Usage before this instant (epoch ms) is not kept. Whoever read usage asks it afterwards: a month may have gone meanwhile. */
export async function keptFrom(db: Db): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ at: bigint | null }>`select (extract(epoch from nullif(weir_kept_from(), '-infinity')) * 1000)::bigint as at`.execute(db),
  );
  const at = rows[0]?.at ?? null;
  return at === null ? Number.NEGATIVE_INFINITY : Number(at);
}

/** From when on usage of the account may be corrected, epoch ms; null where there is no such account. */
export async function correctableFrom(db: Db, account: string): Promise<number | null> {
  const { rows } = await reachPostgres(
    sql<{ at: bigint | null }>`
      select (extract(epoch from nullif(weir_correctable_from(a.account), '-infinity')) * 1000)::bigint as at
      from accounts a where a.account = ${account}`.execute(db),
  );
  const [row] = rows;
  return row ? Number(row.at ?? Number.NEGATIVE_INFINITY) : null;
}

export interface RetiredMonth {
  partition: string;
  detached: boolean;
  /** Of its table with indexes; null where it was dropped or is elsewhere by now. */
  bytes: number | null;
}

/** Months that are shown of those that were let go, the latest. */
const SHOWN = 12;

/** What the ledger keeps, for people to see. */
export interface KeptMonths {
  /** Epoch ms; −∞ where nothing was ever let go. */
  from: number;
  /** The latest ones, oldest first, and how many there are in all. */
  retired: RetiredMonth[];
  count: number;
  /** The oldest month that is kept though it ended by `before`, and why; `reason` null where nothing is in the way. */
  overdue: { partition: string; account: string | null; reason: string | null } | null;
}

/** `before`: what ended by then is to be let go, epoch ms; null for nothing. */
export async function keptMonths(db: Db, before: number | null): Promise<KeptMonths> {
  const months = await reachPostgres(
    sql<{ partition: string; detached: boolean; bytes: bigint | null; count: number }>`
      select partition, detached_at is not null as detached, pg_total_relation_size(to_regclass(partition)) as bytes,
             (count(*) over ())::int as count
      from retired_months order by month desc limit ${SHOWN}`.execute(db),
  );
  const retired = months.rows.map(({ partition, detached, bytes }) => ({
    partition,
    detached,
    bytes: bytes === null ? null : Number(bytes),
  }));
  return {
    from: await keptFrom(db),
    retired: retired.toReversed(),
    count: months.rows[0]?.count ?? 0,
    overdue: before === null ? null : await overdue(db, before),
  };
}

async function overdue(db: Db, before: number): Promise<KeptMonths["overdue"]> {
  const { rows } = await reachPostgres(
    sql<{ partition: string; account: string | null; reason: string | null }>`
      select m.partition, n.account, n.reason
      from weir_oldest_month() m left join weir_month_needed(m.ends_at) n on true
      where m.ends_at <= ${iso(before)}::timestamptz`.execute(db),
  );
  return rows[0] ?? null;
}
