import type { Quantities } from "./tally.ts";

/** One meter, as the replay counted it and as Postgres has it. */
export interface MeterVerdict {
  meter: string;
  counted: number;
  booked: number;
  /** What unanswered operations may have added, at most. */
  uncertain: number;
  state: "equal" | "within unknown" | "missing" | "too much";
}

/** Compares what was counted with the growth of what is booked, over every meter that either side names. */
export function verdicts(counted: Quantities, uncertain: Quantities, booked: Quantities): MeterVerdict[] {
  const meters = new Set([...Object.keys(counted), ...Object.keys(uncertain), ...Object.keys(booked)]);
  return [...meters].toSorted().map((meter) => {
    const [here, there, open] = [counted[meter] ?? 0, booked[meter] ?? 0, uncertain[meter] ?? 0];
    const state = there === here ? "equal" : there < here ? "missing" : there <= here + open ? "within unknown" : "too much";
    return { meter, counted: here, booked: there, uncertain: open, state };
  });
}

/** True when every meter is exactly as counted and nothing was left unanswered. */
export const proven = (all: readonly MeterVerdict[]): boolean => all.every((v) => v.state === "equal" && v.uncertain === 0);

/** True when waiting may still help: something is missing, and nothing is beyond what can be explained. */
export const mayStillArrive = (all: readonly MeterVerdict[]): boolean =>
  all.some((v) => v.state === "missing" || (v.state === "equal" && v.uncertain > 0)) && all.every((v) => v.state !== "too much");
