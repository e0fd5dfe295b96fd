import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Account, AccountChange } from "./account.ts";

interface Row {
  account: string;
  name: string | null;
  email: string | null;
  billing_anchor_day: number;
  timezone: string;
  rate_alert: boolean;
  limits_version: bigint;
  created_at: Date;
  updated_at: Date;
  plan: string | null;
  next_plan: string | null;
  next_starts_at: Date | null;
}

const columns = (now: number) => sql<Row>`
  a.account, a.name, a.email, a.billing_anchor_day, a.timezone, a.rate_alert, a.limits_version, a.created_at, a.updated_at,
  (select s.plan from subscriptions s where s.account = a.account and s.starts_at <= ${iso(now)}::timestamptz
   order by s.starts_at desc limit 1) as plan,
  (select s.plan from subscriptions s where s.account = a.account and s.starts_at > ${iso(now)}::timestamptz
   order by s.starts_at limit 1) as next_plan,
  (select s.starts_at from subscriptions s where s.account = a.account and s.starts_at > ${iso(now)}::timestamptz
   order by s.starts_at limit 1) as next_starts_at`;

function toAccount(row: Row): Account {
  return {
    account: row.account,
    name: row.name,
    email: row.email,
    // An account's first subscription begins with the account; only a clock set before that finds none.
    plan: row.plan ?? row.next_plan ?? "free",
    calendar: { anchorDay: row.billing_anchor_day, timezone: row.timezone },
    nextPlan:
      row.plan !== null && row.next_plan !== null && row.next_starts_at !== null
        ? { plan: row.next_plan, startsAt: row.next_starts_at.getTime() }
        : null,
    rateAlert: row.rate_alert,
    limitsVersion: Number(row.limits_version),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}

/** The account with the plan in force at `now`, or null. */
export async function findAccount(db: Db, account: string, now: number): Promise<Account | null> {
  return (await findAccountInLife(db, account, now))?.account ?? null;
}

/** The same, with the life in Redis that Postgres has as its last (0 before its first), and how often usage was booked behind that one's back. */
export async function findAccountInLife(
  db: Db,
  account: string,
  now: number,
): Promise<{ account: Account; epoch: number; foreignSeq: number } | null> {
  const { rows } = await reachPostgres(
    sql<
      Row & { epoch: bigint; foreign_seq: bigint }
    >`select a.epoch, a.foreign_seq, ${columns(now)} from accounts a where a.account = ${account}`.execute(db),
  );
  const row = rows[0];
  return row ? { account: toAccount(row), epoch: Number(row.epoch), foreignSeq: Number(row.foreign_seq) } : null;
}

/** A page of accounts, newest first, those of one moment by id, from the one after `after` on. */
export async function listAccounts(
  db: Db,
  { after, limit, now }: { after: Pick<Account, "createdAt" | "account"> | null; limit: number; now: number },
): Promise<Account[]> {
  // Said twice: the first half is what the index is entered by.
  const rest = after
    ? sql`a.created_at <= ${iso(after.createdAt)}::timestamptz and (a.created_at < ${iso(after.createdAt)}::timestamptz or a.account > ${after.account})`
    : sql`true`;
  const { rows } = await reachPostgres(
    sql<Row>`select ${columns(now)} from accounts a where ${rest} order by a.created_at desc, a.account limit ${limit}`.execute(db),
  );
  return rows.map(toAccount);
}

/** What a change of plan needs to know besides the plan. */
export interface NewPlan {
  /** The plan of a new account that names none. */
  defaultPlan: string;
  /** Where the bucket that holds the change begins; epoch ms. */
  bucketStart: number;
}

/**
 * Creates or changes an account, and its plan with it, in one statement. The limits version rises with every change of plan
 * or calendar; `plan` null keeps the present one (`defaultPlan` for a new account).
 */
export async function putAccount(
  db: Db,
  account: string,
  change: AccountChange,
  { defaultPlan, bucketStart }: NewPlan,
  now: number,
): Promise<{ created: boolean }> {
  const at = iso(now);
  const { rows } = await reachPostgres(
    sql<{ created: boolean }>`
      with before as (
        select a.account, (select s.plan from subscriptions s where s.account = a.account and s.starts_at <= ${at}::timestamptz
                           order by s.starts_at desc limit 1) as plan
        from accounts a where a.account = ${account}
      ), written as (
        insert into accounts (account, name, email, billing_anchor_day, timezone, rate_alert, created_at, updated_at)
        values (${account}, ${change.name ?? null}, ${change.email ?? null}, ${change.billingAnchorDay ?? 1}, ${change.timezone ?? "UTC"}, ${change.rateAlert ?? false}, ${at}, ${at})
        on conflict (account) do update set
          name = case when ${change.name !== undefined} then excluded.name else accounts.name end,
          email = case when ${change.email !== undefined} then excluded.email else accounts.email end,
          billing_anchor_day = case when ${change.billingAnchorDay !== undefined} then excluded.billing_anchor_day else accounts.billing_anchor_day end,
          timezone = case when ${change.timezone !== undefined} then excluded.timezone else accounts.timezone end,
          rate_alert = case when ${change.rateAlert !== undefined} then excluded.rate_alert else accounts.rate_alert end,
          limits_version = accounts.limits_version + 1,
          updated_at = excluded.updated_at
        returning account, limits_version
      ), planned as (
        insert into subscriptions (account, starts_at, plan, created_at, catalog_version, used_before)
        select w.account, ${at}::timestamptz, ${change.plan ?? defaultPlan}, ${at}::timestamptz,
               (select max(version) from catalog_versions),
               case when b.account is not null then weir_used_since(b.account, ${iso(bucketStart)}::timestamptz, ${at}::timestamptz) end
        from written w left join before b using (account)
        where b.account is null or (${change.plan !== undefined} and b.plan is distinct from ${change.plan ?? ""})
        on conflict (account, starts_at) do update set
          plan = excluded.plan, trial_ends_at = excluded.trial_ends_at, catalog_version = excluded.catalog_version
        returning account, plan
      ), dropped as (
        delete from subscriptions s using written w
        where s.account = w.account and s.starts_at > ${at}::timestamptz and ${change.plan !== undefined}
      )
      select not exists (select 1 from before) as created,
             (select weir_notify(p.account, 'subscription/' || w.limits_version, 'subscription.changed',
                                 jsonb_build_object('plan', p.plan, 'previousPlan', b.plan, 'effectiveAt', ${at}::text), ${at}::timestamptz)
              from planned p join before b using (account) join written w using (account)) as told`.execute(db),
  );
  return { created: rows[0]?.created ?? false };
}
