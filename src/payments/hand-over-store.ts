import { sql, type Selectable } from "kysely";
import type { InvoiceLine, InvoiceState } from "../invoices/invoice.ts";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import type { DueInvoice, Provider, ToldPayment } from "./adapter.ts";

export const HAND_OVER_STATES = ["pending", "handed_over", "settled", "failed"] as const;

/** Where an invoice stands at the other side. Times in epoch ms. */
export interface HandOver {
  account: string;
  invoice: string;
  provider: Provider;
  state: (typeof HAND_OVER_STATES)[number];
  externalId: string | null;
  attempts: number;
  /** When it is tried next; null where it is not. */
  nextAttemptAt: number | null;
  /** How the last attempt ended, if not well. */
  error: string | null;
  createdAt: number;
  handedOverAt: number | null;
  settledAt: number | null;
}

/** A hand-over that is ours for a while. */
export interface ClaimedHandOver {
  due: DueInvoice;
  lease: string;
  /** Of the invoice, when it was claimed. */
  state: InvoiceState;
  /** Attempts that failed since the last one that did not. */
  failures: number;
}

/** How an attempt ended. */
export interface AttemptEnd {
  state: HandOver["state"];
  externalId: string | null;
  /** Null where it went well. */
  error: string | null;
  refused: boolean;
  /** When it is tried again, where it is pending. */
  nextAt: number;
}

/** Notes what is due by now (weir_plan_hand_overs); answers how many were found. */
export async function planHandOvers(db: Db, provider: Provider, from: number | null, limit: number, now: number): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ n: number }>`
      select weir_plan_hand_overs(${provider}, ${from === null ? null : iso(from)}::timestamptz, ${limit}::integer, ${iso(now)}::timestamptz)
        as n`.execute(db),
  );
  return rows[0]?.n ?? 0;
}

interface ClaimRow {
  account: string;
  invoice: string;
  number: bigint;
  invoice_state: InvoiceState;
  currency: string;
  lines: InvoiceLine[];
  credited: bigint;
  external_id: string | null;
  attempts: number;
  failures: number;
  refusals: number;
  customer: string | null;
  name: string | null;
  email: string | null;
}

/** Takes one hand-over that is due until `until`; null where none is. */
export async function claimHandOver(
  db: Db,
  provider: Provider,
  lease: string,
  now: number,
  until: number,
): Promise<ClaimedHandOver | null> {
  const { rows } = await reachPostgres(
    sql<ClaimRow>`
      select * from weir_claim_hand_over(${provider}, ${iso(now)}::timestamptz, ${lease}, ${iso(until)}::timestamptz)`.execute(db),
  );
  const [row] = rows;
  if (!row) return null;
  const due: DueInvoice = {
    account: row.account,
    id: row.invoice,
    number: Number(row.number),
    currency: row.currency,
    lines: row.lines,
    creditedUsdMicros: Number(row.credited),
    customer: { id: row.customer, name: row.name, email: row.email },
    externalId: row.external_id,
    tried: row.attempts > 1,
    refusals: row.refusals,
  };
  return { due, lease, state: row.invoice_state, failures: row.failures };
}

/** Notes whom the account is at the other side; answers who it is: the first that was noted. */
export async function rememberCustomer(db: Db, account: string, provider: Provider, customer: string, now: number): Promise<string> {
  const { rows } = await reachPostgres(
    sql<{ customer: string }>`
      insert into payment_customers as c (account, provider, customer, created_at)
      values (${account}, ${provider}, ${customer}, ${iso(now)}::timestamptz)
      on conflict (account, provider) do update set customer = c.customer
      returning c.customer`.execute(db),
  );
  return rows[0]?.customer ?? customer;
}

/** Whom an account is at each provider that knows it. */
export async function listCustomers(db: Db, account: string): Promise<{ provider: Provider; customer: string; createdAt: number }[]> {
  const query = db.selectFrom("payment_customers").selectAll().where("account", "=", account).orderBy("provider");
  const rows = await reachPostgres(query.execute());
  return rows.map(({ provider, customer, created_at }) => ({ provider: provider as Provider, customer, createdAt: created_at.getTime() }));
}

/** Books how an attempt ended, unless somebody else has the hand-over by now, or a payment has settled it. */
export async function endHandOver(db: Db, { due, lease }: ClaimedHandOver, end: AttemptEnd, now: number): Promise<void> {
  const { state, externalId, error, refused, nextAt } = end;
  await reachPostgres(
    sql`
      update payment_hand_overs set
        state = ${state}, external_id = coalesce(${externalId}::text, external_id), error = ${error}::text, lease = null,
        failures = case when ${error}::text is null then 0 else failures + 1 end, refusals = refusals + ${refused ? 1 : 0}::integer,
        next_attempt_at = ${iso(nextAt)}::timestamptz,
        handed_over_at = case when ${state} = 'handed_over' then coalesce(handed_over_at, ${iso(now)}::timestamptz) else handed_over_at end,
        settled_at = case when ${state} = 'settled' then ${iso(now)}::timestamptz else settled_at end
      where account = ${due.account} and invoice = ${due.id} and lease = ${lease}`.execute(db),
  );
}

/** Books a payment (weir_book_payment). */
export async function bookPayment(
  db: Db,
  provider: Provider,
  { invoice, externalId }: ToldPayment,
  now: number,
): Promise<"paid" | "known" | "void" | "unknown"> {
  const { rows } = await reachPostgres(
    sql<{ outcome: "paid" | "known" | "void" | "unknown" }>`
      select weir_book_payment(${provider}, ${invoice}, ${externalId}, ${iso(now)}::timestamptz) as outcome`.execute(db),
  );
  return rows[0]?.outcome ?? "unknown";
}

/** Where an invoice stands at the other side; null where nobody was to be told of it. */
export async function findHandOver(db: Db, account: string, invoice: string): Promise<HandOver | null> {
  const row = await reachPostgres(
    db.selectFrom("payment_hand_overs").selectAll().where("account", "=", account).where("invoice", "=", invoice).executeTakeFirst(),
  );
  return row ? toHandOver(row) : null;
}

/** Makes one that was given up, or that waits for its next attempt, due at once. */
export async function makeDue(db: Db, account: string, invoice: string, now: number): Promise<void> {
  await reachPostgres(
    db
      .updateTable("payment_hand_overs")
      .set({ state: "pending", next_attempt_at: new Date(now), failures: 0 })
      .where("account", "=", account)
      .where("invoice", "=", invoice)
      .where((e) => e.or([e("state", "=", "failed"), e.and([e("state", "=", "pending"), e("lease", "is", null)])]))
      .execute(),
  );
}

/** Those that were given up, oldest first. */
export async function failedHandOvers(db: Db, limit: number): Promise<HandOver[]> {
  const query = db.selectFrom("payment_hand_overs").selectAll().where("state", "=", "failed").orderBy("created_at").limit(limit);
  return (await reachPostgres(query.execute())).map(toHandOver);
}

const toHandOver = (row: Selectable<Database["payment_hand_overs"]>): HandOver => ({
  account: row.account,
  invoice: row.invoice,
  // CHECKs of the table hold both to what they are read as.
  provider: row.provider as Provider,
  state: row.state as HandOver["state"],
  externalId: row.external_id,
  attempts: row.attempts,
  nextAttemptAt: row.state === "pending" ? row.next_attempt_at.getTime() : null,
  error: row.error,
  createdAt: row.created_at.getTime(),
  handedOverAt: row.handed_over_at?.getTime() ?? null,
  settledAt: row.settled_at?.getTime() ?? null,
});
