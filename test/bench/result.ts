import { beside, type Rounds, type Sample } from "./rounds.ts";

/** One figure of the suite. */
export interface Result {
  name: string;
  value: number;
  unit: string;
  /** The same figure of what it is held against; null where it stands alone. */
  baseline: number | null;
  /** value / baseline: the median of the rounds' own ratios. */
  ratio: number | null;
  /** What is aimed at, such as `ratio >= 0.8`; null where the figure only informs. */
  target: string | null;
  met: boolean | null;
}

/** A bound on the value or the ratio. */
export interface Target {
  of: "value" | "ratio";
  bound: ">=" | "<=";
  limit: number;
}

export const atLeast = (limit: number, of: Target["of"] = "ratio"): Target => ({ of, bound: ">=", limit });
export const atMost = (limit: number, of: Target["of"] = "ratio"): Target => ({ of, bound: "<=", limit });

/** A figure, held to its target where it has one. */
export function figure(
  name: string,
  unit: string,
  { value, baseline = null, ratio = null }: { value: number; baseline?: number | null; ratio?: number | null },
  target: Target | null = null,
): Result {
  const measured = target?.of === "ratio" ? ratio : value;
  const met = target === null || measured === null ? null : target.bound === ">=" ? measured >= target.limit : measured <= target.limit;
  return { name, value, unit, baseline, ratio, target: target && `${target.of} ${target.bound} ${target.limit}`, met };
}

/** A subject's figure beside its baseline's. */
export const versus = (
  name: string,
  unit: string,
  rounds: Rounds,
  [subject, baseline]: readonly [string, string],
  of: (sample: Sample) => number,
  target: Target | null = null,
): Result => figure(name, unit, beside(rounds, subject, baseline, of), target);
