import type { Selectable } from "kysely";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import type { Invoice, InvoiceLine, InvoiceState } from "./invoice.ts";

type Row = Selectable<Database["invoices"]>;

const toInvoice = (row: Row): Invoice => ({
  id: row.id,
  account: row.account,
  // CHECKs of the table hold both to what they are read as.
  state: row.state as InvoiceState,
  lines: row.lines as InvoiceLine[],
  number: row.number === null ? null : Number(row.number),
  currency: row.currency,
  period: { start: row.period_start.getTime(), end: row.period_end.getTime() },
  totalUsdMicros: Number(row.total),
  taxUsdMicros: Number(row.tax),
  creditedUsdMicros: Number(row.credited),
  draftedAt: row.drafted_at.getTime(),
  finalizedAt: row.finalized_at?.getTime() ?? null,
  paidAt: row.paid_at?.getTime() ?? null,
  voidedAt: row.voided_at?.getTime() ?? null,
  payment: row.payment,
});

/** At most `limit` invoices of an account whose months ended before `before` (epoch ms; null: all), newest first. */
export async function listInvoices(db: Db, account: string, before: number | null, limit: number): Promise<Invoice[]> {
  const query = db.selectFrom("invoices").selectAll().where("account", "=", account).orderBy("period_end", "desc").limit(limit);
  const rows = await reachPostgres((before === null ? query : query.where("period_end", "<", new Date(before))).execute());
  return rows.map(toInvoice);
}

/** The invoice of that id, as far as `account` may see it (null: any account's); null where there is none. */
export async function findInvoice(db: Db, id: string, account: string | null): Promise<Invoice | null> {
  const query = db.selectFrom("invoices").selectAll().where("id", "=", id);
  const row = await reachPostgres((account === null ? query : query.where("account", "=", account)).executeTakeFirst());
  return row ? toInvoice(row) : null;
}

/** Marks a finalized invoice as paid; null where it is not finalized. */
export async function markPaid(db: Db, id: string, payment: string | null, now: number): Promise<Invoice | null> {
  const row = await reachPostgres(
    db
      .updateTable("invoices")
      .set({ state: "paid", paid_at: new Date(now), payment })
      .where("id", "=", id)
      .where("state", "=", "finalized")
      .returningAll()
      .executeTakeFirst(),
  );
  return row ? toInvoice(row) : null;
}

/** Marks a finalized invoice as void: it keeps its number and is not to be paid. Null where it is not finalized. */
export async function markVoid(db: Db, id: string, now: number): Promise<Invoice | null> {
  const row = await reachPostgres(
    db
      .updateTable("invoices")
      .set({ state: "void", voided_at: new Date(now) })
      .where("id", "=", id)
      .where("state", "=", "finalized")
      .returningAll()
      .executeTakeFirst(),
  );
  return row ? toInvoice(row) : null;
}
