import { sql } from "kysely";
import { newId } from "../kernel/ids.ts";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Attempt, Delivery } from "./delivery.ts";
import { TEST_TYPE } from "./notification.ts";

/** Attempts that the log shows of one delivery. */
const ATTEMPTS_SHOWN = 10;

interface Row {
  id: string;
  seq: bigint;
  message: string;
  type: string;
  status: Delivery["status"];
  created_at: Date;
  finished_at: Date | null;
  next_attempt_at: Date;
  attempts: number;
  log: Attempt[];
}

const COLUMNS = sql<Row>`
  d.id, d.seq, d.message, d.type, d.status, d.created_at, d.finished_at, d.next_attempt_at, d.attempts,
  coalesce((
    select jsonb_agg(jsonb_build_object(
      'number', a.number, 'at', floor(extract(epoch from a.at) * 1000), 'latencyMs', a.latency_ms, 'statusCode', a.status_code,
      'error', a.error, 'answer', a.answer) order by a.number desc)
    from (select * from delivery_attempts n where n.account = d.account and n.delivery = d.id order by n.number desc limit ${sql.lit(ATTEMPTS_SHOWN)}) a
  ), '[]'::jsonb) as log`;

const toDelivery = (row: Row): Delivery & { seq: number } => ({
  id: row.id,
  seq: Number(row.seq),
  messageId: row.message,
  type: row.type,
  status: row.status,
  createdAt: row.created_at.getTime(),
  finishedAt: row.finished_at?.getTime() ?? null,
  nextAttemptAt: row.status === "pending" ? row.next_attempt_at.getTime() : null,
  attemptCount: row.attempts,
  attempts: row.log,
});

/** A page of an endpoint's deliveries with their attempts, newest first. */
export async function listDeliveries(
  db: Db,
  account: string,
  webhook: string,
  page: { after: { createdAt: number; seq: number } | null; limit: number },
): Promise<(Delivery & { seq: number })[]> {
  const { after } = page;
  const older = after === null ? sql`true` : sql`(d.created_at, d.seq) < (${iso(after.createdAt)}::timestamptz, ${after.seq}::bigint)`;
  const { rows } = await reachPostgres(
    sql<Row>`
      select ${COLUMNS} from deliveries d where d.account = ${account} and d.webhook = ${webhook} and ${older}
      order by d.created_at desc, d.seq desc limit ${page.limit}`.execute(db),
  );
  return rows.map(toDelivery);
}

/** One delivery with the bytes it sends. */
export async function findDelivery(db: Db, account: string, webhook: string, id: string): Promise<(Delivery & { payload: string }) | null> {
  const { rows } = await reachPostgres(
    sql<Row & { body: Buffer }>`
      select ${COLUMNS}, d.body from deliveries d where d.account = ${account} and d.webhook = ${webhook} and d.id = ${id}`.execute(db),
  );
  const [row] = rows;
  return row ? { ...toDelivery(row), payload: row.body.toString("utf8") } : null;
}

/**
 * Makes a delivery due again, with the same id and bytes and a new schedule of retries. Answers false, changing nothing, where there is
 * none or an attempt is under way.
 */
export async function replayDelivery(db: Db, account: string, webhook: string, id: string, now: number): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ id: string }>`
      update deliveries set status = 'pending', finished_at = null, failures = 0, lease = null, next_attempt_at = ${iso(now)}::timestamptz
      where account = ${account} and webhook = ${webhook} and id = ${id} and (lease is null or next_attempt_at <= ${iso(now)}::timestamptz)
      returning id`.execute(db),
  );
  return rows.length > 0;
}

/**
 * Puts a `webhook.test` for one endpoint into the outbox; null when there is none. Answers the delivery's id. The endpoint's row is locked first, so a
 * deletion under way is waited for, and then seen: without it the delivery named an endpoint that was gone, and the call was answered 500.
 */
export async function enqueueTest(db: Db, account: string, webhook: string, now: number): Promise<string | null> {
  const at = iso(now);
  const { rows } = await reachPostgres(
    sql<{ id: string }>`
      insert into deliveries (account, id, webhook, message, type, body, next_attempt_at, created_at)
      select w.account, ${newId("dlv")}, w.id, ${newId("msg")}, ${TEST_TYPE},
        weir_message_body(${TEST_TYPE}, jsonb_build_object('account', w.account, 'webhook', w.id), ${at}::timestamptz), ${at}::timestamptz, ${at}::timestamptz
      from webhooks w where w.account = ${account} and w.id = ${webhook}
      for key share
      returning id`.execute(db),
  );
  return rows[0]?.id ?? null;
}
