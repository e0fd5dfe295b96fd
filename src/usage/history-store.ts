import { validationFailed } from "../kernel/errors.ts";
import { DAY_MS, HOUR_MS, iso, type BillingCalendar, type Window } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";
import { levelSeries, spanStarts, spanStretch, usageSeries, type Granularity, type GroupedSpans, type HistoryPoint } from "./history.ts";

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

/** Points in one answer: a year of hours by 22 services. More would take hundreds of megabytes on the way. */
export const HISTORY_POINTS_MAX = 200_000;

/**
 * What a counter counted in each span, oldest first: booked quantities and corrections; spans without either are left out. A correction
 * stands in the span of its instant, in the group "" (it belongs to no service), and may bring that span below 0.
 * Throws `validation_failed` for more than HISTORY_POINTS_MAX points.
 */
export async function usageHistory(db: Db, query: HistoryQuery, groupBy: "service" | "namespace" | null): Promise<HistoryPoint[]> {
  const starts = spanStarts(query.granularity, stretchOf(query), query.calendar);
  const groups = await runQuery<GroupedSpans>(db, USAGE_HISTORY, usageParameters(query, groupBy));
  const points = usageSeries(groups, starts);
  if (points.length > HISTORY_POINTS_MAX)
    throw validationFailed([{ path: "from", message: `ask for less at once: this is more than ${HISTORY_POINTS_MAX} points` }]);
  return groupBy === null ? points.map(({ start, quantity }) => ({ start, quantity })) : points;
}

/** The parameters of sql/queries/usage-history.sql. */
export function usageParameters(query: HistoryQuery, groupBy: "service" | "namespace" | null): unknown[] {
  const { account, meter, granularity, calendar } = query;
  const stretch = stretchOf(query);
  const seconds = { hour: HOUR_MS / 1_000, day: DAY_MS / 1_000, month: null }[granularity];
  const months = granularity === "month" ? spanStarts("month", stretch, calendar).map(iso) : [];
  return [account, meter, iso(stretch.start), iso(stretch.end), seconds, months, groupBy ?? "", HISTORY_POINTS_MAX + 1];
}

const stretchOf = ({ granularity, stretch, calendar }: HistoryQuery): Window => spanStretch(granularity, stretch, calendar);

/** A gauge's level at the end of each span, oldest first, from the first span it was known in until the one that holds `now`. */
export async function levelHistory(db: Db, query: HistoryQuery, now: number): Promise<HistoryPoint[]> {
  const { account, meter, granularity, calendar } = query;
  const stretch = stretchOf(query);
  const [row] = await runQuery<{ changes: [number, number][] }>(db, LEVEL_HISTORY, [account, meter, iso(stretch.start), iso(stretch.end)]);
  const changes = (row?.changes ?? []).map(([at, level]) => ({ at, level }));
  return levelSeries(changes, spanStarts(granularity, stretch, calendar), stretch.end, now);
}
