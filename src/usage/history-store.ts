import { validationFailed } from "../kernel/errors.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { DAY_MS, HOUR_MS, iso, type BillingCalendar, type Window } from "../kernel/window.ts";
import { keptFrom } from "../ledger/retired-month-store.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";
import {
  levelSeries,
  spanAt,
  spanStarts,
  spanStretch,
  usageSeries,
  type Granularity,
  type GroupSums,
  type HistoryPoint,
} from "./history.ts";
import { entryCount, sumEntries, type PackedEntries } from "./history-entries.ts";

const USAGE_ENTRIES = loadQuery("usage-entries");
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
const HISTORY_POINTS_MAX = 200_000;

/** Entries that are added up here; where there are more, Postgres does it. 8 MB on the way, and some 50 ms of this process' time. */
const HISTORY_ENTRIES_MAX = 250_000;

type GroupBy = "service" | "namespace" | null;

/**
 * What a counter counted in each span, oldest first: booked quantities and corrections; spans without either are left out. A correction
 * stands in the span of its instant, in the group "" (it belongs to no service), and may bring that span below 0.
 * Throws `validation_failed` for more than HISTORY_POINTS_MAX points, and where a span begins before what is kept.
 */
export async function usageHistory(
  db: Db,
  query: HistoryQuery,
  groupBy: GroupBy,
  entriesMax = HISTORY_ENTRIES_MAX,
): Promise<HistoryPoint[]> {
  const starts = spanStarts(query.granularity, stretchOf(query), query.calendar);
  const groups = (await sumsOfEntries(db, query, groupBy, starts, entriesMax)) ?? (await sumsBySpan(db, query, groupBy));
  await refuseUnkept(db, query);
  const points = usageSeries(groups, starts, groupBy !== null);
  if (points.length > HISTORY_POINTS_MAX)
    throw validationFailed([{ path: "from", message: `ask for less at once: this is more than ${HISTORY_POINTS_MAX} points` }]);
  return points;
}

/** Asked after what it answers for: what had gone by then is never shown as nothing. */
async function refuseUnkept(db: Db, query: HistoryQuery): Promise<void> {
  const kept = await keptFrom(db);
  if (stretchOf(query).start >= kept) return;
  const span = spanAt(query.granularity, kept, query.calendar);
  const from = iso(span.start < kept ? span.end : kept);
  throw validationFailed([{ path: "from", message: `must be ${from} or later: usage before ${iso(kept)} is not kept` }]);
}

/** Null where there are more entries than `entriesMax`. */
async function sumsOfEntries(
  db: Db,
  query: HistoryQuery,
  groupBy: GroupBy,
  starts: readonly number[],
  entriesMax: number,
): Promise<GroupSums[] | null> {
  const groups = await runQuery<PackedEntries>(db, USAGE_ENTRIES, entryParameters(query, groupBy, entriesMax + 1));
  return entryCount(groups) > entriesMax ? null : sumEntries(groups, query.granularity, starts);
}

/** The parameters of sql/queries/usage-entries.sql. */
export function entryParameters(query: HistoryQuery, groupBy: GroupBy, limit: number): unknown[] {
  const stretch = stretchOf(query);
  return [query.account, query.meter, iso(stretch.start), iso(stretch.end), groupBy ?? "", limit];
}

async function sumsBySpan(db: Db, query: HistoryQuery, groupBy: GroupBy): Promise<GroupSums[]> {
  const groups = await runQuery<{ grp: string; spans: string; quantities: string }>(db, USAGE_HISTORY, spanParameters(query, groupBy));
  return groups.map(({ grp, spans, quantities }) => ({
    grp,
    spans: spans.split(",").map(Number),
    // A sum as every store has it (weir_quantity): what is beyond ±(2^53 − 1) is cut off there.
    quantities: quantities.split(",").map((sum) => Math.max(-QUANTITY_MAX, Math.min(QUANTITY_MAX, Number(sum)))),
  }));
}

/** The parameters of sql/queries/usage-history.sql. */
function spanParameters(query: HistoryQuery, groupBy: GroupBy): unknown[] {
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
