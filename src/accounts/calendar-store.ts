import { sql } from "kysely";
import type { BillingCalendar } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** The billing calendars of those of `accounts` that exist, in one trip. */
export async function findCalendars(db: Db, accounts: readonly string[]): Promise<Map<string, BillingCalendar>> {
  if (accounts.length === 0) return new Map();
  const { rows } = await reachPostgres(
    sql<{ account: string; anchor_day: number; timezone: string }>`
      select account, billing_anchor_day as anchor_day, timezone from accounts where account = any (${accounts}::text[])`.execute(db),
  );
  return new Map(rows.map((row) => [row.account, { anchorDay: row.anchor_day, timezone: row.timezone }]));
}
