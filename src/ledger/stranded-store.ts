import { sql } from "kysely";
import { iso, type Period, type Window } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/**
 * Stranded budget: lent to a life of the account in Redis that is over and not accounted for, so that nobody can spend it and nobody
 * else can be given it. Never usage, never billed. A gauge's stands under `level`.
 */
export type StrandedBudget = Map<string, Partial<Record<Period | "level", number>>>;

/** One account's stranded budget in the windows that are open, by meter. */
export async function strandedOf(db: Db, account: string, windows: Record<Period, Window>): Promise<StrandedBudget> {
  const { rows } = await reachPostgres(
    sql<{ meter: string; period: Period | "level"; quantity: string }>`
      select s.meter, s.period, s.quantity::text
      from weir_stranded_of(${account}, ${iso(windows.day.start)}::timestamptz, ${iso(windows.month.start)}::timestamptz) s`.execute(db),
  );
  const stranded: StrandedBudget = new Map();
  for (const { meter, period, quantity } of rows) {
    if (Number(quantity) > 0) stranded.set(meter, { ...stranded.get(meter), [period]: Number(quantity) });
  }
  return stranded;
}

/** Stranded budget of one account, meter and window. */
export interface StrandedWindow {
  account: string;
  calendar: { anchorDay: number; timezone: string };
  meter: string;
  period: Period;
  windowStart: number;
  quantity: number;
}

/** Counters' stranded budget of all accounts, the most first, of windows that began at or after `since`. */
export async function mostStranded(db: Db, since: Record<Period, number>, limit: number): Promise<StrandedWindow[]> {
  const { rows } = await reachPostgres(
    sql<{ account: string; anchor: number; timezone: string; meter: string; period: Period; window_start: Date; quantity: string }>`
      select s.account, a.billing_anchor_day as anchor, a.timezone, s.meter, s.period, s.window_start, sum(s.granted - s.booked)::text as quantity
      from weir_stranded(null, ${iso(since.day)}::timestamptz, ${iso(since.month)}::timestamptz) s join accounts a on a.account = s.account
      group by 1, 2, 3, 4, 5, 6 order by sum(s.granted - s.booked) desc, 1, 4, 5 limit ${limit}`.execute(db),
  );
  return rows.map((row) => ({
    account: row.account,
    calendar: { anchorDay: row.anchor, timezone: row.timezone },
    meter: row.meter,
    period: row.period,
    windowStart: row.window_start.getTime(),
    quantity: Number(row.quantity),
  }));
}

/** Counters' stranded budget of all accounts together, by meter and period, of windows that began at or after `since`. */
export async function strandedInAll(db: Db, since: Record<Period, number>): Promise<{ meter: string; period: Period; quantity: number }[]> {
  const { rows } = await reachPostgres(
    sql<{ meter: string; period: Period; quantity: string }>`
      select meter, period, sum(granted - booked)::text as quantity
      from weir_stranded(null, ${iso(since.day)}::timestamptz, ${iso(since.month)}::timestamptz)
      group by 1, 2 order by 1, 2`.execute(db),
  );
  return rows.map((row) => ({ ...row, quantity: Number(row.quantity) }));
}

/** What was freed of one limit. */
export interface Reclaimed {
  meter: string;
  period: Period;
  windowStart: number;
  quantity: number;
}

/**
 * Frees what the account's dead lives were lent and have not booked. Only for a caller who knows that they can spend no more and are
 * booked to the last unit. Null, and nothing is freed, when `epoch` is not the account's present life.
 */
export async function reclaimDead(
  db: Db,
  account: string,
  epoch: number,
  windows: Record<Period, Window>,
  now: number,
): Promise<Reclaimed[] | null> {
  const { rows } = await reachPostgres(
    sql<{ meter: string | null; period: Period; window_start: Date; granted: bigint; booked: bigint }>`
      select * from weir_reclaim(${account}, ${epoch}, ${iso(windows.day.start)}::timestamptz, ${iso(windows.month.start)}::timestamptz, ${iso(now)}::timestamptz)`.execute(
      db,
    ),
  );
  // The first row says that it was done; the others what was freed.
  if (rows.length === 0) return null;
  return rows.flatMap(({ meter, period, window_start: start, granted, booked }) =>
    meter === null ? [] : [{ meter, period, windowStart: start.getTime(), quantity: Number(granted - booked) }],
  );
}
