import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import { readUsedBefore, type Subscription } from "./subscription.ts";

export interface SubscriptionChange {
  plan: string;
  /** In force until then; told to the account. */
  previousPlan: string;
  startsAt: number;
  trialEndsAt: number | null;
  /** Where the bucket that holds a change at once begins. */
  bucketStart: number;
}

/** Plans a change of plan, and tells of it: from `startsAt` on the account is on `plan`. Any other change planned for later is replaced. */
export async function putSubscription(db: Db, account: string, change: SubscriptionChange, now: number): Promise<void> {
  const { plan, previousPlan, trialEndsAt } = change;
  const [at, startsAt, trial] = [iso(now), iso(change.startsAt), trialEndsAt === null ? null : iso(trialEndsAt)];
  await reachPostgres(
    sql`
      with moved as (
        update accounts set limits_version = limits_version + 1, updated_at = ${at}::timestamptz where account = ${account}
        returning account, limits_version
      ), dropped as (
        delete from subscriptions s using moved m where s.account = m.account and s.starts_at > ${at}::timestamptz and s.starts_at <> ${startsAt}::timestamptz
      ), planned as (
        insert into subscriptions (account, starts_at, plan, created_at, trial_ends_at, catalog_version, used_before)
        select m.account, ${startsAt}::timestamptz, ${plan}, ${at}::timestamptz, ${trial}::timestamptz,
               (select max(version) from catalog_versions),
               case when ${change.startsAt <= now} then weir_used_since(m.account, ${iso(change.bucketStart)}::timestamptz, ${startsAt}::timestamptz) end
        from moved m
        on conflict (account, starts_at) do update set
          plan = excluded.plan, trial_ends_at = excluded.trial_ends_at, catalog_version = excluded.catalog_version
      )
      select weir_notify(m.account, 'subscription/' || m.limits_version, 'subscription.changed',
                         jsonb_build_object('plan', ${plan}::text, 'previousPlan', ${previousPlan}::text, 'effectiveAt', ${startsAt}::text),
                         ${at}::timestamptz)
      from moved m`.execute(db),
  );
}

/** Withdraws the change that is planned for later, and tells of it. Answers whether there was one. */
export async function withdrawChange(db: Db, account: string, plan: string, now: number): Promise<boolean> {
  const at = iso(now);
  const { rows } = await reachPostgres(
    sql<{ told: boolean }>`
      with dropped as (
        delete from subscriptions s where s.account = ${account} and s.starts_at > ${at}::timestamptz returning s.plan
      ), moved as (
        update accounts set limits_version = limits_version + 1, updated_at = ${at}::timestamptz
        where account = ${account} and exists (select from dropped)
        returning account, limits_version
      )
      select weir_notify(m.account, 'subscription/' || m.limits_version, 'subscription.changed',
                         jsonb_build_object('plan', ${plan}::text, 'previousPlan', (select d.plan from dropped d limit 1), 'effectiveAt', ${at}::text),
                         ${at}::timestamptz) as told
      from moved m`.execute(db),
  );
  return rows.length > 0;
}

interface Row {
  account: string;
  plan: string;
  starts_at: Date;
  ends_at: Date | null;
  trial_ends_at: Date | null;
  catalog_version: bigint | null;
  used_before: unknown;
}

/** The subscriptions of accounts that were in force at or after `from`, oldest first, by account. Planned ones too. */
export async function listSubscriptions(db: Db, accounts: readonly string[], from: number): Promise<Map<string, Subscription[]>> {
  const { rows } = await reachPostgres(
    sql<Row>`
      select s.account, s.plan, s.starts_at, s.ends_at, s.trial_ends_at, s.catalog_version, s.used_before
      from (
        select h.*, lead(h.starts_at) over (partition by h.account order by h.starts_at) as ends_at
        from subscriptions h where h.account = any (${accounts}::text[])
      ) s
      where s.ends_at is null or s.ends_at > ${iso(from)}::timestamptz
      order by s.account, s.starts_at`.execute(db),
  );
  const found = new Map<string, Subscription[]>();
  for (const row of rows) {
    const history = found.get(row.account) ?? [];
    history.push(toSubscription(row));
    found.set(row.account, history);
  }
  return found;
}

const toSubscription = (row: Row): Subscription => ({
  plan: row.plan,
  startsAt: row.starts_at.getTime(),
  endsAt: row.ends_at?.getTime() ?? null,
  trialEndsAt: row.trial_ends_at?.getTime() ?? null,
  catalogVersion: row.catalog_version === null ? null : Number(row.catalog_version),
  usedBefore: readUsedBefore(row.used_before),
});

/** Every plan that the account has or had, or will have. */
export async function plansOf(db: Db, account: string): Promise<string[]> {
  const rows = await reachPostgres(db.selectFrom("subscriptions").select("plan").distinct().where("account", "=", account).execute());
  return rows.map((row) => row.plan);
}
