import { expect } from "vitest";
import { VECTORS, type Feature, type Meter, type Outcome, type Step, type Vector } from "./vectors.ts";

/** One object of a fresh account in the data plane under test. */
export interface Subject {
  perform(step: Step): Promise<Outcome>;
  /** The account's counters so far, of the period the caps are set in. */
  counted(): Promise<Partial<Record<string, number>>>;
  /** Caps a meter at `value` for the same period. */
  cap(meter: Meter, value: number): Promise<void>;
  /** What a key holds, null for nothing; what this counts does not matter. Not asked of a data plane without values. */
  holds(key: string): Promise<string | null>;
  close?(): Promise<void>;
}

/** Where a data plane cannot count as the table says, what it counts instead, and why. Keyed by the vector's id. */
export type Deviations = Readonly<Record<string, { counts: Vector["counts"]; ends?: Outcome; why: string }>>;

const METERS: readonly Meter[] = [
  "state_requests",
  "state_duration_gb_milliseconds",
  "state_sqlite_rows_read",
  "state_sqlite_rows_written",
];

/** The vectors that ask nothing but these features, as rows for `test.each`. */
export const vectorsFor = (features: readonly Feature[]): [string, Vector][] =>
  VECTORS.filter((vector) => features.includes(vector.feature)).map((vector) => [vector.id, vector]);

/** Runs one vector and expects exactly what it says. */
export async function checkVector(vector: Vector, subject: Subject, deviations: Deviations = {}): Promise<void> {
  const { counts, ends = "ok" } = { ...vector, ...deviations[vector.id] };
  try {
    for (const step of vector.before) expect(["ok", "missing"], `before: ${step.do}`).toContain(await subject.perform(step));
    const from = await subject.counted();
    if (vector.capped) await subject.cap(vector.capped.meter, (from[vector.capped.meter] ?? 0) + vector.capped.left);
    const ended: Outcome[] = [];
    for (const step of vector.steps) ended.push(await subject.perform(step));
    const to = await subject.counted();
    const moved = METERS.flatMap((meter) => {
      const by = (to[meter] ?? 0) - (from[meter] ?? 0);
      return by === 0 ? [] : [[meter, by] as const];
    });
    expect(Object.fromEntries(moved)).toEqual(counts);
    expect(ended.slice(0, -1).filter((outcome) => outcome === "denied")).toEqual([]);
    expect(ended.at(-1)).toBe(ends);
    if (vector.holds) expect(await subject.holds(vector.holds.key)).toBe(vector.holds.value);
  } finally {
    await subject.close?.();
  }
}
