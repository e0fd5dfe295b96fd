import { sql } from "kysely";
import { iso, type Window } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** A billing month of an account. Epoch ms. */
export interface BillingPeriod {
  account: string;
  window: Window;
  /** The length of the whole month that it is or is a part of; 0 for the time before an account's first month. */
  monthMs: number;
}

interface Row {
  account: string;
  period_start: Date;
  period_end: Date;
  month_ms: bigint;
}

const toPeriod = (row: Row): BillingPeriod => ({
  account: row.account,
  window: { start: row.period_start.getTime(), end: row.period_end.getTime() },
  monthMs: Number(row.month_ms),
});

/** Where a list of periods goes on. */
export interface PeriodCursor {
  end: number;
  account: string;
}

/** Open months that have ended by `now`, the oldest first. */
export async function duePeriods(db: Db, now: number, after: PeriodCursor | null, limit: number): Promise<BillingPeriod[]> {
  const { rows } = await reachPostgres(
    sql<Row>`
      select p.account, p.period_start, p.period_end, p.month_ms from billing_periods p
      where p.closed_at is null and p.period_end <= ${iso(now)}::timestamptz
        and (p.period_end, p.account) > (${iso(after?.end ?? 0)}::timestamptz, ${after?.account ?? ""})
      order by p.period_end, p.account limit ${limit}`.execute(db),
  );
  return rows.map(toPeriod);
}

/** The open month of each of `accounts` that exists. */
export async function openPeriods(db: Db, accounts: readonly string[]): Promise<BillingPeriod[]> {
  const { rows } = await reachPostgres(
    sql<Row>`select account, period_start, period_end, month_ms from billing_periods where account = any (${accounts}::text[]) and closed_at is null`.execute(
      db,
    ),
  );
  return rows.map(toPeriod);
}

/** A draft's month and the one after it. */
export interface DraftPeriods {
  period: BillingPeriod;
  next: BillingPeriod;
  /** What the invoice says it is for: of the first invoice of an account, the month before it began. */
  shown: Window;
}

type DraftRow = Row & { next_start: Date; next_end: Date; next_month_ms: bigint; shown_start: Date };

const toDraft = (row: DraftRow): DraftPeriods => {
  const period = toPeriod(row);
  const next = { start: row.next_start.getTime(), end: row.next_end.getTime() };
  return {
    period,
    next: { account: row.account, window: next, monthMs: Number(row.next_month_ms) },
    shown: { start: row.shown_start.getTime(), end: period.window.end },
  };
};

const draftColumns = sql`
  i.account, p.period_start, p.period_end, p.month_ms, n.period_start as next_start, n.period_end as next_end, n.month_ms as next_month_ms,
  i.period_start as shown_start
  from invoices i
  join billing_periods p on p.account = i.account and p.period_end = i.period_end
  join billing_periods n on n.account = i.account and n.period_start = i.period_end`;

/** Drafts whose months ended by `endedBy`, the oldest first. */
export async function dueDrafts(db: Db, endedBy: number, after: PeriodCursor | null, limit: number): Promise<DraftPeriods[]> {
  const { rows } = await reachPostgres(
    sql<DraftRow>`
      select ${draftColumns}
      where i.state = 'draft' and i.period_end <= ${iso(endedBy)}::timestamptz
        and (i.period_end, i.account) > (${iso(after?.end ?? 0)}::timestamptz, ${after?.account ?? ""})
      order by i.period_end, i.account limit ${limit}`.execute(db),
  );
  return rows.map(toDraft);
}

/** The draft of that id; null where there is none, or where it is a draft no more. */
export async function draftPeriods(db: Db, id: string): Promise<DraftPeriods | null> {
  const { rows } = await reachPostgres(sql<DraftRow>`select ${draftColumns} where i.id = ${id} and i.state = 'draft'`.execute(db));
  return rows[0] ? toDraft(rows[0]) : null;
}

/** The account's drafts, at most `limit`, the oldest first. */
export async function draftsOf(db: Db, account: string, limit: number): Promise<DraftPeriods[]> {
  const { rows } = await reachPostgres(
    sql<DraftRow>`
      select ${draftColumns} where i.account = ${account} and i.state = 'draft' order by i.period_end limit ${limit}`.execute(db),
  );
  return rows.map(toDraft);
}
