import { iso } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";

const SUMS = loadQuery("sums-in-windows");

/** A stretch of an account's ledger, half-open, epoch ms. */
export interface SumWindow {
  account: string;
  from: number;
  /** The edge of a bucket. */
  to: number;
  /** For corrections, which are dated to the millisecond. */
  correctionsTo: number;
}

/** What one meter's windows hold. A counter has usage and corrections, a gauge an integral in byte-milliseconds. */
export interface MeterSums {
  usage: bigint;
  corrections: bigint;
  level: bigint;
}

export type WindowSums = Map<string, MeterSums>;

export const NO_SUMS: MeterSums = { usage: 0n, corrections: 0n, level: 0n };

interface Row {
  tag: number;
  kind: "usage" | "correction" | "level";
  meter: string;
  quantity: string;
}

/** The sums of each window, by meter, in the order of `windows`; `gauges` are those whose integrals are wanted. */
export async function windowSums(db: Db, windows: readonly SumWindow[], gauges: readonly string[]): Promise<WindowSums[]> {
  const found = windows.map((): WindowSums => new Map());
  if (windows.length === 0) return found;
  const rows = await runQuery<Row>(db, SUMS, [
    windows.map((_, tag) => tag),
    windows.map((w) => w.account),
    windows.map((w) => iso(w.from)),
    windows.map((w) => iso(w.to)),
    windows.map((w) => iso(w.correctionsTo)),
    gauges,
  ]);
  for (const { tag, kind, meter, quantity } of rows) {
    const sums = found[tag];
    const before = sums?.get(meter) ?? NO_SUMS;
    sums?.set(meter, { ...before, [MEMBER[kind]]: BigInt(quantity) });
  }
  return found;
}

const MEMBER = { usage: "usage", correction: "corrections", level: "level" } as const;
