import { sql } from "kysely";
import { iso, type BillingCalendar, type Window } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import { invoiceId, type InvoiceBody } from "./invoice.ts";
import type { BillingPeriod } from "./period-store.ts";

/** A month to be closed, the next one, and its invoice, if it comes to any. */
export interface Closing {
  period: BillingPeriod;
  /** The calendar that the next month was reckoned with: if it has changed since, nothing is done. */
  calendar: BillingCalendar;
  next: { window: Window; monthMs: number };
  shown: Window;
  body: InvoiceBody | null;
}

/** Closes months, opens the next ones and drafts their invoices, all or nothing (weir_close_periods). Answers how many were closed now. */
export async function closeMonths(db: Db, closings: readonly Closing[], now: number): Promise<{ closed: number; drafted: number }> {
  if (closings.length === 0) return { closed: 0, drafted: 0 };
  const column = <T>(of: (c: Closing) => T): T[] => closings.map(of);
  const { rows } = await reachPostgres(
    sql<{ account: string }>`
      select account from weir_close_periods(
        ${column((c) => c.period.account)}::text[], ${column((c) => iso(c.period.window.end))}::timestamptz[],
        ${column((c) => c.calendar.anchorDay)}::int[], ${column((c) => c.calendar.timezone)}::text[],
        ${column((c) => iso(c.next.window.start))}::timestamptz[], ${column((c) => iso(c.next.window.end))}::timestamptz[],
        ${column((c) => c.next.monthMs)}::bigint[], ${column((c) => iso(c.shown.start))}::timestamptz[],
        ${column((c) => c.body && invoiceId(c.period.account, c.period.window.end))}::text[],
        ${column((c) => c.body && c.body.currency)}::text[], ${column((c) => c.body && JSON.stringify(c.body.lines))}::text[],
        ${column((c) => c.body && c.body.totalUsdMicros)}::bigint[], ${column((c) => c.body && c.body.taxUsdMicros)}::bigint[],
        ${iso(now)}::timestamptz)`.execute(db),
  );
  const closed = new Set(rows.map(({ account }) => account));
  return { closed: closed.size, drafted: closings.filter(({ period, body }) => body && closed.has(period.account)).length };
}

/** A draft and what it has come to; null where nothing is left of it. */
export interface Finalizing {
  account: string;
  end: number;
  body: InvoiceBody | null;
}

/** Finalizes drafts with gapless numbers and tells their accounts, all or nothing (weir_finalize_invoices). Answers the ids finalized now. */
export async function finalizeDrafts(db: Db, drafts: readonly Finalizing[], now: number): Promise<string[]> {
  if (drafts.length === 0) return [];
  const column = <T>(of: (d: Finalizing) => T): T[] => drafts.map(of);
  const { rows } = await reachPostgres(
    sql<{ id: string }>`
      select id from weir_finalize_invoices(
        ${column((d) => d.account)}::text[], ${column((d) => iso(d.end))}::timestamptz[],
        ${column((d) => d.body && d.body.currency)}::text[], ${column((d) => d.body && JSON.stringify(d.body.lines))}::text[],
        ${column((d) => d.body && d.body.totalUsdMicros)}::bigint[], ${column((d) => d.body && d.body.taxUsdMicros)}::bigint[],
        ${iso(now)}::timestamptz)`.execute(db),
  );
  return rows.map(({ id }) => id);
}

/** Brings a draft to what it has come to; one that is final by now stays as it is. */
export async function refreshDraft(db: Db, { account, end }: Pick<Finalizing, "account" | "end">, body: InvoiceBody): Promise<void> {
  await reachPostgres(
    sql`
      update invoices set currency = ${body.currency}, lines = ${JSON.stringify(body.lines)}::text::jsonb,
        total = ${body.totalUsdMicros}::bigint, tax = ${body.taxUsdMicros}::bigint
      where account = ${account} and period_end = ${iso(end)}::timestamptz and state = 'draft'
        and lines is distinct from ${JSON.stringify(body.lines)}::text::jsonb`.execute(db),
  );
}
