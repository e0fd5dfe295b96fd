import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { DAY_MS, HOUR_MS } from "../kernel/window.ts";
import type { Granularity, GroupSums } from "./history.ts";

/** One group's booked totals and corrections, in no order: 8 bytes each, as sql/queries/usage-entries.sql packs them. */
export interface PackedEntries {
  grp: string;
  times: Buffer;
  quantities: Buffer;
}

const ENTRY_BYTES = 8;
/** Postgres counts microseconds from here. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const TWO_TO_32 = 4_294_967_296;

export const entryCount = (groups: readonly PackedEntries[]): number =>
  groups.reduce((sum, { times }) => sum + times.length / ENTRY_BYTES, 0);

/** Adds up each group's entries by span. `starts` are those of the stretch's spans, every entry lies in one of them. Pure. */
export function sumEntries(groups: readonly PackedEntries[], granularity: Granularity, starts: readonly number[]): GroupSums[] {
  const spanOf = spanNumbering(granularity, starts);
  return groups.map(({ grp, times, quantities }) => ({ grp, ...sumGroup(times, quantities, spanOf) }));
}

function sumGroup(times: Buffer, quantities: Buffer, spanOf: (at: number) => number): Omit<GroupSums, "grp"> {
  const places = new Map<number, number>();
  const spans: number[] = [];
  // In halves: each half of a sum stays exact, where one double would round on the way to a sum that fits.
  const high: number[] = [];
  const low: number[] = [];
  for (let i = 0; i < times.length; i += ENTRY_BYTES) {
    const span = spanOf(POSTGRES_EPOCH_MS + int64(times, i) / 1_000);
    let place = places.get(span);
    if (place === undefined) {
      place = spans.push(span) - 1;
      places.set(span, place);
      high.push(0);
      low.push(0);
    }
    high[place] = (high[place] ?? 0) + quantities.readInt32BE(i);
    low[place] = (low[place] ?? 0) + quantities.readUInt32BE(i + 4);
  }
  // What is beyond ±(2^53 − 1) is cut off as every store does (weir_quantity); up to there the double is exact.
  const sums = high.map((part, place) => clamp(part * TWO_TO_32 + (low[place] ?? 0)));
  return { spans, quantities: sums };
}

const clamp = (sum: number): number => Math.max(-QUANTITY_MAX, Math.min(QUANTITY_MAX, sum));

/** Exact for a time until the year 2285 and for a quantity. */
const int64 = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * TWO_TO_32 + bytes.readUInt32BE(at + 4);

/** Which span holds a time: hours and days are all of one length, months are looked for. */
function spanNumbering(granularity: Granularity, starts: readonly number[]): (at: number) => number {
  const [first = 0] = starts;
  if (granularity !== "month") {
    const length = granularity === "hour" ? HOUR_MS : DAY_MS;
    return (at) => Math.floor((at - first) / length);
  }
  return (at) => {
    let [from, to] = [0, starts.length];
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if ((starts[middle] ?? Infinity) <= at) from = middle;
      else to = middle;
    }
    return from;
  };
}
