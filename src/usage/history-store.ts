import { iso, type BillingCalendar, type Window } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";
import { levelSeries, spanStarts, spanStretch, type Granularity, type HistoryPoint } from "./history.ts";

const USAGE_HISTORY = loadQuery("usage-history");
const LEVEL_HISTORY = loadQuery("level-history");

export interface HistoryQuery {
  account: string;
  meter: string;
  granularity: Granularity;
  /** Epoch ms, half-open; every span that touches it is answered whole. */
  stretch: Window;
  /** The account's billing months. */
  calendar: BillingCalendar;
}

/**
 * What a counter counted in each span, oldest first: booked quantities and corrections; spans without either are left out. A correction
 * stands in the span of its instant, in the group "" (it belongs to no service), and may bring that span below 0.
 */
export async function usageHistory(db: Db, query: HistoryQuery, groupBy: "service" | "namespace" | null): Promise<HistoryPoint[]> {
  const [row] = await runQuery<{ series: [number, string, number][] }>(db, USAGE_HISTORY, usageParameters(query, groupBy));
  return (row?.series ?? []).map(([start, group, quantity]) => (groupBy === null ? { start, quantity } : { start, quantity, group }));
}

/** The parameters of sql/queries/usage-history.sql. */
export function usageParameters(query: HistoryQuery, groupBy: "service" | "namespace" | null): unknown[] {
  const { account, meter, granularity, calendar } = query;
  const stretch = spanStretch(granularity, query.stretch, calendar);
  const months = granularity === "month" ? spanStarts("month", stretch, calendar).map(iso) : [];
  return [account, meter, iso(stretch.start), iso(stretch.end), granularity, months, groupBy ?? ""];
}

/** A gauge's level at the end of each span, oldest first, from the first span it was known in until the one that holds `now`. */
export async function levelHistory(db: Db, query: HistoryQuery, now: number): Promise<HistoryPoint[]> {
  const { account, meter, granularity, calendar } = query;
  const stretch = spanStretch(granularity, query.stretch, calendar);
  const [row] = await runQuery<{ changes: [number, number][] }>(db, LEVEL_HISTORY, [account, meter, iso(stretch.start), iso(stretch.end)]);
  const changes = (row?.changes ?? []).map(([at, level]) => ({ at, level }));
  return levelSeries(changes, spanStarts(granularity, stretch, calendar), stretch.end, now);
}
