import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";
import type { BillingMonth } from "../usage/planned-month.ts";
import type { InvoiceLine, InvoiceState } from "./invoice.ts";

const EARLIER_MONTHS = loadQuery("earlier-months");

/**
 * Months before its own that an invoice looks at for usage that came late: what a lease settles and what a process that was away books is
 * days late, not months. Corrections are found however far back they reach.
 */
const LATE_MONTHS = 2;

export interface MonthBeginning {
  account: string;
  begins: number;
}

/** The earlier months that each of `asked` must look at, oldest first. */
export async function earlierMonths(db: Db, asked: readonly MonthBeginning[]): Promise<BillingMonth[][]> {
  const found = asked.map((): BillingMonth[] => []);
  const rows = await runQuery<{ tag: number; start: bigint; end: bigint; month_ms: bigint }>(db, EARLIER_MONTHS, [
    asked.map((_, tag) => tag),
    asked.map(({ account }) => account),
    asked.map(({ begins }) => iso(begins)),
    LATE_MONTHS,
  ]);
  for (const row of rows)
    found[row.tag]?.push({ window: { start: Number(row.start), end: Number(row.end) }, monthMs: Number(row.month_ms) });
  return found;
}

/** An invoice as far as a later one must know it. */
export interface IssuedInvoice {
  end: number;
  state: InvoiceState;
  lines: InvoiceLine[];
}

/** The invoices of each of `asked` whose months ended from `since` until its own begins, oldest first. */
export async function invoicesBefore(db: Db, asked: readonly (MonthBeginning & { since: number })[]): Promise<IssuedInvoice[][]> {
  const found = asked.map((): IssuedInvoice[] => []);
  const { rows } = await reachPostgres(
    sql<{ tag: number; period_end: Date; state: InvoiceState; lines: InvoiceLine[] }>`
      select w.tag, i.period_end, i.state, i.lines
      from unnest(${asked.map((_, tag) => tag)}::int[], ${asked.map(({ account }) => account)}::text[],
                  ${asked.map(({ since }) => iso(since))}::timestamptz[], ${asked.map(({ begins }) => iso(begins))}::timestamptz[])
        as w (tag, account, since, begins)
      join invoices i on i.account = w.account and i.period_end >= w.since and i.period_end <= w.begins
      order by w.tag, i.period_end`.execute(db),
  );
  for (const { tag, period_end, state, lines } of rows) found[tag]?.push({ end: period_end.getTime(), state, lines });
  return found;
}
