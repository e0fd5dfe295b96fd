import { reachPostgres, type Db } from "../stores/database.ts";
import type { BillingMonth } from "./planned-month.ts";

/** The account's billing month that is not closed yet, as it was opened: a change of calendar moves the next one. Null for no account. */
export async function openMonth(db: Db, account: string): Promise<BillingMonth | null> {
  const row = await reachPostgres(
    db
      .selectFrom("billing_periods")
      .select(["period_start", "period_end", "month_ms"])
      .where("account", "=", account)
      .where("closed_at", "is", null)
      .executeTakeFirst(),
  );
  return row ? { window: { start: row.period_start.getTime(), end: row.period_end.getTime() }, monthMs: Number(row.month_ms) } : null;
}
