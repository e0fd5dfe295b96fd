import { sql, type Selectable } from "kysely";
import { newId } from "../kernel/ids.ts";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import type { CreditNote, CreditRequest } from "./credit-note.ts";

type Row = Pick<
  Selectable<Database["credit_notes"]>,
  "account" | "id" | "invoice" | "number" | "amount" | "reason" | "made_by" | "created_at"
>;

export type CreditOutcome =
  | { outcome: "made" | "known"; note: CreditNote }
  /** `leftUsdMicros` is what could still be credited. */
  | { outcome: "draft" | "void" | "too_much"; leftUsdMicros: number };

/** Credits an invoice, or finds the note that the request's key made before. Null for an invoice that does not exist. */
export async function creditInvoice(
  db: Db,
  invoice: string,
  { amountUsdMicros, reason, idempotencyKey }: CreditRequest,
  made: { by: string; now: number },
): Promise<CreditOutcome | null> {
  const { rows } = await reachPostgres(
    sql<Row & { outcome: CreditOutcome["outcome"] }>`
      select * from weir_credit(${invoice}, ${newId("crn")}, ${amountUsdMicros}::bigint, ${reason}, ${idempotencyKey}, ${made.by},
        ${iso(made.now)}::timestamptz)`.execute(db),
  );
  const [row] = rows;
  if (!row) return null;
  const { outcome } = row;
  if (outcome === "made" || outcome === "known") return { outcome, note: toNote(row) };
  return { outcome, leftUsdMicros: Number(row.amount) };
}

/** The credit notes of an account's invoice, newest first. */
export async function listCreditNotes(db: Db, account: string, invoice: string, limit: number): Promise<CreditNote[]> {
  const query = db.selectFrom("credit_notes").selectAll().where("account", "=", account).where("invoice", "=", invoice);
  return (await reachPostgres(query.orderBy("number", "desc").limit(limit).execute())).map(toNote);
}

const toNote = (row: Row): CreditNote => ({
  id: row.id,
  number: Number(row.number),
  account: row.account,
  invoice: row.invoice,
  amountUsdMicros: Number(row.amount),
  reason: row.reason,
  madeBy: row.made_by,
  createdAt: row.created_at.getTime(),
});
