import type { Period } from "../kernel/window.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** Reads what scripts/prelude.lua packs: little-endian doubles, −1 for "none". */

const HEADER_DOUBLES = 17;
const PERIOD_DOUBLES = 8;
const PLACE = 2 * PERIOD_DOUBLES;
const NONE = -1;

/** What Redis knows of an account besides its meters. Times in epoch ms, ceilings in bytes, null where there is none. */
export interface Header {
  epoch: number;
  limitsVersion: number;
  catalogVersion: number;
  foreignSeq: number;
  day: { start: number; end: number };
  month: { start: number; end: number };
  objectCeiling: number | null;
  payloadCeiling: number | null;
  objectSeq: number;
  changes: number;
  /** The newest receiving hour that has totals. */
  hour: number;
  /** When the next reservation is due to expire; null where none is held. */
  expiry: number | null;
  /** Something waits for the roll-up. */
  dirty: boolean;
}

/** One meter in one window: its limits and what stands against them. Base quantities. */
export interface PeriodCounters {
  /** The plan's hard limit; null where the plan does not stop. */
  plan: number | null;
  /** The account's own hard cap. */
  cap: number | null;
  granted: number;
  /** Booked by other epochs + spent in this one. */
  used: number;
  spent: number;
  held: number;
  /** Of the lower limit, what Postgres would not grant when all that can be was: other lives of the account were lent it. 0 until then. */
  stranded: number;
}

export interface MeterCounters {
  day: PeriodCounters;
  month: PeriodCounters;
}

/** The account's header, unpacked, and the run id of the server that wrote it. */
export function readHeader(packed: Buffer): Header & { runId: string } {
  const at = (i: number): number => packed.readDoubleLE(i * 8);
  return {
    epoch: at(0),
    limitsVersion: at(1),
    catalogVersion: at(2),
    foreignSeq: at(3),
    day: { start: at(4), end: at(5) },
    month: { start: at(6), end: at(7) },
    objectCeiling: orNull(at(8)),
    payloadCeiling: orNull(at(9)),
    objectSeq: at(10),
    changes: at(11),
    hour: at(12),
    expiry: orNull(at(15)),
    dirty: at(13) === 1,
    runId: packed.toString("latin1", HEADER_DOUBLES * 8),
  };
}

/** The bucket a gauge is in, with its integral so far. Times in epoch ms. */
export interface GaugeIntegral {
  from: number;
  until: number;
  bucket: number;
  byteMilliseconds: bigint;
}

/** A meter's limits and counters, unpacked; of a gauge with its level. */
export function readMeter(packed: Buffer, gauge: boolean): MeterCounters {
  const day = readPeriod(packed, 0);
  const month = readPeriod(packed, PERIOD_DOUBLES);
  if (!gauge) return { day, month };
  // A gauge has one level, whatever the window; only its limits are kept by period.
  const level = { granted: day.granted, used: day.spent, spent: day.spent, held: day.held };
  const limit = lower(hardLimit(day), hardLimit(month));
  const stranded = isExhausted(packed, 0) && limit !== null ? Math.max(0, limit - day.granted) : 0;
  return { day: { ...day, ...level, stranded }, month: { ...month, ...level, stranded } };
}

/** Where a counter's room stands among its account's (quick.lua); null until it is counted. */
export const readPlace = (packed: Buffer): number | null => orNull(packed.readDoubleLE(PLACE * 8));

/** A gauge's bucket, unpacked: the level summed over time. */
export function readIntegral(packed: Buffer): GaugeIntegral {
  const at = (i: number): number => packed.readDoubleLE(i * 8);
  return { from: at(4), bucket: at(13), until: at(12), byteMilliseconds: limbs(at(10), at(11)) };
}

/** An integral kept as high × 2^26 + low. */
export const limbs = (high: number, low: number): bigint => (BigInt(high) << 26n) + BigInt(low);

function readPeriod(packed: Buffer, offset: number): PeriodCounters {
  const at = (i: number): number => packed.readDoubleLE((offset + i) * 8);
  // Corrections may give back more than was used: then nothing is shown as used. They may add more than fits: then it is cut off there.
  const used = Math.min(QUANTITY_MAX, Math.max(0, at(4) + at(5)));
  const limits = { plan: orNull(at(0)), cap: orNull(at(1)) };
  const limit = hardLimit(limits);
  const stranded = isExhausted(packed, offset) && limit !== null ? Math.max(0, limit - at(4) - at(2)) : 0;
  return { ...limits, granted: at(2), used, spent: at(5), held: at(6), stranded };
}

const isExhausted = (packed: Buffer, offset: number): boolean => packed.readDoubleLE((offset + 3) * 8) === 0;

const orNull = (n: number): number | null => (n === NONE ? null : n);

/** Without what a hot account's home holds for its branches: it is not used, and nobody has reserved it. */
export const withoutLent = ({ day, month }: MeterCounters, lent: Record<Period, number>): MeterCounters => ({
  day: { ...day, held: Math.max(0, day.held - lent.day) },
  month: { ...month, held: Math.max(0, month.held - lent.month) },
});

/** −1 for null: how the scripts are told that there is none. */
export const orNone = (n: number | null): number => n ?? NONE;

/** The lower of plan limit and cap, null where neither stops. */
export const hardLimit = ({ plan, cap }: Pick<PeriodCounters, "plan" | "cap">): number | null => lower(plan, cap);

function lower(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null || a < b ? a : b;
}
