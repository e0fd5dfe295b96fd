import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** Accounts that were told of a threshold since `since`, the latest first: those that may be near a limit now. */
export async function accountsToldSince(db: Db, since: number, limit: number): Promise<string[]> {
  const { rows } = await reachPostgres(
    sql<{ account: string }>`
      select account from notifications
      where type in ('usage.threshold_reached', 'usage.limit_reached') and created_at >= ${iso(since)}::timestamptz
      group by account order by max(created_at) desc, account limit ${limit}`.execute(db),
  );
  return rows.map(({ account }) => account);
}
