import { DAY_MS, dayWindow, HOUR_MS, monthWindow, type BillingCalendar, type Window } from "../kernel/window.ts";

export const GRANULARITIES = ["hour", "day", "month"] as const;
/** UTC hours and days; `month` is the account's billing month, so that its point is what usage showed for it. */
export type Granularity = (typeof GRANULARITIES)[number];

export interface HistoryPoint {
  /** Epoch ms. */
  start: number;
  /** Of a counter what was used in the span, less what corrections gave back; of a gauge its level at the span's end. */
  quantity: number;
  group?: string;
}

/** The span of `granularity` that holds `at`. */
export function spanAt(granularity: Granularity, at: number, calendar: BillingCalendar): Window {
  if (granularity === "month") return monthWindow(at, calendar);
  if (granularity === "day") return dayWindow(at);
  const start = Math.floor(at / HOUR_MS) * HOUR_MS;
  return { start, end: start + HOUR_MS };
}

/** Where the spans that touch `[from, to)` begin and end. An empty stretch touches none. */
export function spanStretch(granularity: Granularity, { start, end }: Window, calendar: BillingCalendar): Window {
  if (end <= start) return { start, end: start };
  return { start: spanAt(granularity, start, calendar).start, end: spanAt(granularity, end - 1, calendar).end };
}

/** The starts of the spans of a stretch that begins and ends with a span, oldest first. */
export function spanStarts(granularity: Granularity, stretch: Window, calendar: BillingCalendar): number[] {
  const starts: number[] = [];
  for (let at = stretch.start; at < stretch.end; at = spanEnd(granularity, at, calendar)) starts.push(at);
  return starts;
}

function spanEnd(granularity: Granularity, start: number, calendar: BillingCalendar): number {
  if (granularity === "hour") return start + HOUR_MS;
  return granularity === "day" ? start + DAY_MS : monthWindow(start, calendar).end;
}

/** From `at` (epoch ms) on the gauge stood at `level`, until the next change. */
export interface LevelChange {
  at: number;
  level: number;
}

/**
 * A gauge's level at the end of each span, from the first span it was known in: a level that nothing changed is carried on.
 * A span that is under way shows the level at `now`; later ones have none. `changes` are oldest first. Pure.
 */
export function levelSeries(changes: readonly LevelChange[], starts: readonly number[], end: number, now: number): HistoryPoint[] {
  const points: HistoryPoint[] = [];
  let next = 0;
  let level: number | null = null;
  starts.forEach((start, i) => {
    if (start > now) return;
    const until = starts[i + 1] ?? end;
    for (let change = changes[next]; change && change.at < until; change = changes[++next]) level = change.level;
    if (level !== null) points.push({ start, quantity: level });
  });
  return points;
}

/** One group's sums: numbers of spans, counted from 0, in no order, and the quantity of each. */
export interface GroupSums {
  grp: string;
  spans: readonly number[];
  quantities: readonly number[];
}

/**
 * Puts sums in the order of their spans, then of their groups; points say their group where they are `grouped`. `starts` are the spans that the
 * numbers count. Pure. Each point goes straight to its place: a list for every span took a year of hours by three services 2 ms more.
 */
export function usageSeries(groups: readonly GroupSums[], starts: readonly number[], grouped: boolean): HistoryPoint[] {
  const places = firstPlaces(groups, starts.length);
  const points: HistoryPoint[] = [];
  points.length = groups.reduce((sum, { spans }) => sum + spans.length, 0);
  const ordered = [...groups].sort((a, b) => (a.grp < b.grp ? -1 : 1));
  for (const { grp, spans, quantities } of ordered) {
    for (let i = 0; i < spans.length; i++) {
      const span = spans[i] ?? 0;
      const place = places[span] ?? 0;
      const point = { start: starts[span] ?? NaN, quantity: quantities[i] ?? 0 };
      points[place] = grouped ? { ...point, group: grp } : point;
      places[span] = place + 1;
    }
  }
  return points;
}

/** Where the points of each span begin among all. */
function firstPlaces(groups: readonly GroupSums[], spanCount: number): Uint32Array {
  const places = new Uint32Array(spanCount + 1);
  for (const { spans } of groups) for (const span of spans) places[span + 1] = (places[span + 1] ?? 0) + 1;
  for (let span = 0; span < spanCount; span++) places[span + 1] = (places[span + 1] ?? 0) + (places[span] ?? 0);
  return places;
}
