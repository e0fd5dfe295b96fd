import { sql } from "kysely";
import { newId } from "../kernel/ids.ts";
import { DAY_MS, iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Claimed, ClaimedMail, ClaimedWebhook } from "./delivery.ts";
import { FAILING_MAX_MS, type Ended, type Outcome } from "./retry.ts";

/** A dispatcher that has not said by then how an attempt ended is taken for dead. Longer than any attempt may take. */
export const LEASE_MS = 60_000;
/** Deliveries of one endpoint under way at once, over all processes: a hanging one holds no more of a dispatcher than this. */
const PER_ENDPOINT_MAX = 4;
/** Mail that was made longer ago, while no SMTP server was configured, is not sent. */
const MAIL_AGE_MAX_MS = 3 * DAY_MS;
/** How long the log is kept. */
const KEPT_MS = 30 * DAY_MS;
const FORGET_BATCH = 5_000;

interface ClaimRow {
  account: string;
  id: string;
  message: string;
  type: string;
  body: Buffer;
  created_at: Date;
  attempt: number;
  failures: number;
}

const toClaimed = (row: ClaimRow, lease: string): Claimed => ({
  account: row.account,
  id: row.id,
  message: row.message,
  type: row.type,
  body: row.body,
  createdAt: row.created_at.getTime(),
  attempt: row.attempt,
  failures: row.failures,
  lease,
});

/** Takes up to `limit` due deliveries of webhooks; no other dispatcher gets them while the lease lasts. */
export async function claimWebhooks(db: Db, now: number, limit: number): Promise<ClaimedWebhook[]> {
  const lease = newId("lease");
  const { rows } = await reachPostgres(
    sql<ClaimRow & { webhook: string; url: string; secret: Buffer; previous_secret: Buffer | null }>`
      select * from weir_claim_webhooks(${iso(now)}::timestamptz, ${lease}, ${iso(now + LEASE_MS)}::timestamptz, ${limit}::integer, ${PER_ENDPOINT_MAX}::integer)`.execute(
      db,
    ),
  );
  return rows.map((row) => ({
    ...toClaimed(row, lease),
    webhook: row.webhook,
    url: row.url,
    secrets: row.previous_secret === null ? [row.secret] : [row.secret, row.previous_secret],
  }));
}

/** Takes up to `limit` due mails, alike. */
export async function claimMails(db: Db, now: number, limit: number): Promise<ClaimedMail[]> {
  const lease = newId("lease");
  const { rows } = await reachPostgres(
    sql<ClaimRow & { recipient: string }>`
      select * from weir_claim_mails(${iso(now)}::timestamptz, ${lease}, ${iso(now + LEASE_MS)}::timestamptz, ${limit}::integer, ${iso(now - MAIL_AGE_MAX_MS)}::timestamptz)`.execute(
      db,
    ),
  );
  return rows.map((row) => ({ ...toClaimed(row, lease), recipient: row.recipient }));
}

/** Books how an attempt ended and what follows from it, for the delivery and its endpoint, in one statement. */
export async function endAttempt(
  db: Db,
  claimed: Claimed,
  ended: Pick<Ended, "statusCode" | "error"> & { latencyMs: number; answer: string | null },
  outcome: Outcome,
  now: number,
): Promise<void> {
  const at = (ms: number | null): string | null => (ms === null ? null : iso(ms));
  await reachPostgres(
    sql`
      select weir_end_attempt(${claimed.account}, ${claimed.id}, ${claimed.attempt}::integer, ${claimed.lease}, ${iso(now)}::timestamptz,
        ${ended.latencyMs}::integer, ${ended.statusCode}::integer, ${ended.error}::text, ${ended.answer}::text, ${outcome.delivered}::boolean,
        ${at(outcome.nextAt)}::timestamptz, ${at(outcome.pausedUntil)}::timestamptz, ${outcome.gone}::boolean,
        ${iso(now - FAILING_MAX_MS)}::timestamptz)`.execute(db),
  );
}

/**
 * Forgets deliveries, with their attempts, that are older than the log is kept. Answers how many. What others have in hand is left to the next
 * run: an endpoint's deletion takes its deliveries in another order, and each would wait for the other.
 */
export async function forgetDeliveries(db: Db, now: number): Promise<number> {
  let forgotten = 0;
  for (;;) {
    const { rows } = await reachPostgres(
      sql<{ n: number }>`
        with old as (
            select account, id from deliveries where created_at < ${iso(now - KEPT_MS)}::timestamptz order by created_at limit ${FORGET_BATCH}
            for update skip locked),
          gone as (delete from deliveries d using old where d.account = old.account and d.id = old.id returning 1)
        select count(*)::integer as n from gone`.execute(db),
    );
    const n = rows[0]?.n ?? 0;
    forgotten += n;
    if (n < FORGET_BATCH) return forgotten;
  }
}

/** What waits for an attempt, and how long the oldest of it has been due, milliseconds. */
export async function outboxState(db: Db, now: number): Promise<{ pending: number; oldestDueMs: number }> {
  const row = await reachPostgres(
    db
      .selectFrom("deliveries")
      .select((e) => [e.fn.countAll<bigint>().as("pending"), e.fn.min("next_attempt_at").as("oldest")])
      .where("status", "=", "pending")
      .executeTakeFirstOrThrow(),
  );
  return { pending: Number(row.pending), oldestDueMs: row.oldest === null ? 0 : Math.max(0, now - row.oldest.getTime()) };
}
