import { sql } from "kysely";
import { iso, type Window } from "../../src/kernel/window.ts";
import type { Db } from "../../src/stores/database.ts";

/** Four meters that the Free plan limits by day, as one State write moves them. */
export const USAGE = {
  state_requests: 1,
  state_duration_gb_milliseconds: 1,
  state_sqlite_rows_read: 1,
  state_sqlite_rows_written: 1,
} as const;

/** Names of accounts, in order. */
export const accountNames = (count: number): string[] => Array.from({ length: count }, (_, i) => `acct_${i + 1}`);

/** Each row is audited: ten thousand took longer than a statement may. */
const ACCOUNTS_AT_ONCE = 1_000;
/** Rows of the billing months are not. */
const MONTHS_AT_ONCE = 10_000;
/** Statements under way. */
const LANES = 2;

/** Makes accounts: on the Free plan every meter of USAGE has a hard limit and grants to be asked for. */
export async function makeAccounts(db: Db, names: readonly string[], now: number, plan: "free" | "pro" = "free"): Promise<void> {
  const at = iso(now);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < names.length) await make(db, names.slice(next, (next += ACCOUNTS_AT_ONCE)), at, plan);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function make(db: Db, names: readonly string[], at: string, plan: string): Promise<void> {
  await sql`with made as (
    insert into accounts (account, created_at, updated_at) select t, ${at}::timestamptz, ${at}::timestamptz from unnest(${names}::text[]) t
    returning account
  ) insert into subscriptions (account, starts_at, plan, created_at)
    select account, date_trunc('month', ${at}::timestamptz), ${plan}, ${at}::timestamptz from made`.execute(db);
}

/**
 * Has `month` be the open one of accounts that were just made, from `from` in it on, and all before it closed without an invoice. Otherwise the first
 * month of all of them is to be closed at once, which takes a million accounts most of an hour beside whatever is measured.
 */
export async function openMonth(db: Db, names: readonly string[], { start, end }: Window, from: number): Promise<void> {
  for (let i = 0; i < names.length; i += MONTHS_AT_ONCE) {
    await sql`
      with before as (
        update billing_periods set period_end = ${iso(from)}::timestamptz, closed_at = ${iso(from)}::timestamptz
        where account = any (${names.slice(i, i + MONTHS_AT_ONCE)}::text[]) returning account
      ) insert into billing_periods (account, period_start, period_end, month_ms)
        select account, ${iso(from)}::timestamptz, ${iso(end)}::timestamptz, ${end - start}::bigint from before`.execute(db);
  }
}
