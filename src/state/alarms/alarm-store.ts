import { sql } from "kysely";
import { newId } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import { reachPostgres, type Db } from "../../stores/database.ts";
import type { Address } from "../context.ts";
import type { Alarm, ClaimedAlarm } from "./alarm.ts";

/** Due alarms looked at before the services are told by their index instead; also the most put off at once. */
const LOOK = 1_000;
/** Alarms of one service under way at once, over all processes: a worker that hangs holds no more of a deliverer than this. */
const PER_SERVICE_MAX = 16;

interface AlarmRow {
  scheduled_at: Date;
  due_at: Date;
  failures: number;
  trouble: string | null;
}

const toAlarm = (row: AlarmRow): Alarm => ({
  scheduledAt: row.scheduled_at.getTime(),
  nextAttemptAt: row.due_at.getTime(),
  retryCount: row.failures,
  trouble: row.trouble,
});

const keyOf = ({ namespace, object }: Address) =>
  sql`account = ${namespace.account} and namespace = ${namespace.number}::bigint and object = ${object}`;

/** Sets the object's alarm, in place of the one it had; null when the namespace has ended. */
export async function upsertAlarm(db: Db, { namespace, object }: Address, scheduledAt: number): Promise<Alarm | null> {
  const { rows } = await reachPostgres(
    sql<AlarmRow>`
      insert into state_alarms (account, namespace, object, service, setting, scheduled_at, due_at)
      select n.account, n.number, ${object}, n.service, ${newId("alm")}, ${iso(scheduledAt)}::timestamptz, ${iso(scheduledAt)}::timestamptz
      from state_namespaces n
      where n.account = ${namespace.account} and n.number = ${namespace.number}::bigint and n.deleted_at is null
      on conflict (account, namespace, object) do update
        set setting = excluded.setting, scheduled_at = excluded.scheduled_at, due_at = excluded.due_at, failures = 0, trouble = null
      returning scheduled_at, due_at, failures, trouble`.execute(db),
  );
  return rows[0] ? toAlarm(rows[0]) : null;
}

/** The object's alarm, also while its handler runs; null when there is none. */
export async function findAlarm(db: Db, address: Address): Promise<Alarm | null> {
  const { rows } = await reachPostgres(
    sql<AlarmRow>`
      select scheduled_at, due_at, failures, trouble from state_alarms where ${keyOf(address)} and due_at is not null`.execute(db),
  );
  return rows[0] ? toAlarm(rows[0]) : null;
}

/** Deletes the object's alarm; false when there was none. A handler that runs by then is not called again. */
export async function removeAlarm(db: Db, address: Address, now: number): Promise<boolean> {
  // A row in somebody's hands stays until its lease ends: a new alarm must not be delivered beside the old one's handler.
  const at = iso(now);
  const { rows } = await reachPostgres(
    sql<{ n: number }>`
      with gone as (
        delete from state_alarms where ${keyOf(address)} and due_at is not null and (lease is null or leased_until <= ${at}::timestamptz)
        returning 1
      ), hidden as (
        update state_alarms set due_at = null where ${keyOf(address)} and due_at is not null and leased_until > ${at}::timestamptz
        returning 1
      )
      select (select count(*) from gone)::integer + (select count(*) from hidden)::integer as n`.execute(db),
  );
  return (rows[0]?.n ?? 0) > 0;
}

interface ClaimRow {
  account: string;
  namespace: bigint;
  object: string;
  service: string;
  setting: string;
  scheduled_at: Date;
  failures: number;
  namespace_name: string;
  namespace_created_at: Date;
  worker_url: string;
  secret: Buffer;
  previous_secret: Buffer | null;
}

export interface Claim {
  /** At most so many. */
  limit: number;
  leasedUntil: number;
  /** When alarms of a service without a worker are looked at again. */
  parkedUntil: number;
}

/** Takes due alarms; no other deliverer gets them while the lease lasts. */
export async function claimAlarms(db: Db, { limit, leasedUntil, parkedUntil }: Claim, now: number): Promise<ClaimedAlarm[]> {
  const lease = newId("lease");
  const { rows } = await reachPostgres(
    sql<ClaimRow>`
      select c.*, n.secret, case when n.previous_secret_until > ${iso(now)}::timestamptz then n.previous_secret end as previous_secret
      from weir_claim_alarms(${iso(now)}::timestamptz, ${lease}, ${iso(leasedUntil)}::timestamptz, ${limit}::integer,
        ${PER_SERVICE_MAX}::integer, ${LOOK}::integer, ${iso(parkedUntil)}::timestamptz) c
      join state_namespaces n on n.account = c.account and n.number = c.namespace`.execute(db),
  );
  return rows.map((row) => ({
    account: row.account,
    service: row.service,
    namespace: { number: Number(row.namespace), name: row.namespace_name, createdAt: row.namespace_created_at.getTime() },
    object: row.object,
    setting: row.setting,
    scheduledAt: row.scheduled_at.getTime(),
    failures: row.failures,
    workerUrl: row.worker_url,
    secrets: row.previous_secret ? [row.secret, row.previous_secret] : [row.secret],
    lease,
  }));
}

/** Keeps alarms in hand until `leasedUntil`. */
export async function keepAlarms(db: Db, leases: readonly string[], leasedUntil: number): Promise<void> {
  await reachPostgres(
    sql`
      update state_alarms set leased_until = greatest(leased_until, ${iso(leasedUntil)}::timestamptz)
      where lease is not null and lease in (${sql.join(leases)})`.execute(db),
  );
}

/** How an attempt ended. */
export type AttemptEnd =
  | { outcome: "delivered" }
  | { outcome: "given_up"; trouble: string }
  /** `failed`: the handler did; else the attempt was only put off. */
  | { outcome: "again"; failed: boolean; at: number; trouble: string };

/** Books how an attempt ended, in one statement. */
export async function endAttempt(db: Db, alarm: ClaimedAlarm, end: AttemptEnd): Promise<void> {
  const failed = end.outcome === "again" && end.failed;
  const next = end.outcome === "again" ? iso(end.at) : null;
  const trouble = end.outcome === "delivered" ? null : end.trouble;
  await reachPostgres(
    sql`
      select weir_end_alarm_attempt(${alarm.account}, ${alarm.namespace.number}::bigint, ${alarm.object}, ${alarm.lease}, ${alarm.setting},
        ${end.outcome}, ${failed}::boolean, ${next}::timestamptz, ${trouble}::text)`.execute(db),
  );
}

/** Puts the due alarms of a service off that nobody has in hand. */
export async function putOff(
  db: Db,
  { account, service }: Pick<ClaimedAlarm, "account" | "service">,
  now: number,
  until: number,
  trouble: string,
): Promise<void> {
  await reachPostgres(
    sql`
      select weir_put_off_alarms(${account}, ${service}, ${iso(now)}::timestamptz, ${iso(until)}::timestamptz, ${trouble}, ${LOOK}::integer)`.execute(
      db,
    ),
  );
}

/** Makes alarms due at once that were put off for one of these reasons: what stood in their way may be gone. */
export async function wakeAlarms(db: Db, account: string, service: string | null, troubles: readonly string[], now: number): Promise<void> {
  const at = iso(now);
  const whose = service === null ? sql`account = ${account}` : sql`account = ${account} and service = ${service}`;
  await reachPostgres(
    sql`
      update state_alarms set due_at = ${at}::timestamptz
      where ${whose} and trouble in (${sql.join(troubles)}) and due_at > ${at}::timestamptz and lease is null`.execute(db),
  );
}
