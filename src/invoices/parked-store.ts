import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** An account whose numbers do not reconcile: nothing of it is billed until they do. */
export interface ParkedAccount {
  account: string;
  reason: string;
  /** Epoch ms. */
  parkedAt: number;
}

/** Long reasons are cut: a violating row may hold anything. */
const REASON_LENGTH_MAX = 2_000;

/** Parks accounts, each with a reason; one that is parked already keeps its time. */
export async function park(db: Db, reasons: ReadonlyMap<string, string>, now: number): Promise<void> {
  if (reasons.size === 0) return;
  await reachPostgres(
    sql`
      insert into parked_accounts (account, reason, parked_at)
      select t.account, t.reason, ${iso(now)}::timestamptz
      from unnest(${[...reasons.keys()]}::text[], ${[...reasons.values()].map((r) => r.slice(0, REASON_LENGTH_MAX))}::text[]) as t (account, reason)
      order by t.account
      on conflict (account) do update set reason = excluded.reason where parked_accounts.reason <> excluded.reason`.execute(db),
  );
}

/** Releases those of `accounts` that were parked: their numbers reconcile again. */
export async function release(db: Db, accounts: readonly string[]): Promise<void> {
  await reachPostgres(sql`delete from parked_accounts where account = any (${accounts}::text[])`.execute(db));
}

/** Parked accounts, by id, from the one after `after` on. */
export async function listParked(db: Db, after: string, limit: number): Promise<ParkedAccount[]> {
  const rows = await reachPostgres(
    db.selectFrom("parked_accounts").selectAll().where("account", ">", after).orderBy("account").limit(limit).execute(),
  );
  return rows.map((row) => ({ account: row.account, reason: row.reason, parkedAt: row.parked_at.getTime() }));
}
