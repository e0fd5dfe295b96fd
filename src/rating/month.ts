import type { Meter, Plan } from "../catalog/catalog.ts";
import { fraction, multiply, round, type Fraction } from "../kernel/money.ts";
import { ratePlanLine, type PlanLine } from "./plan-line.ts";

/** What a plan is rated from in one billing month. */
export interface PlanUse {
  plan: Plan;
  /** The meters of the plan's catalogue, in its order. */
  meters: readonly Meter[];
  /** Of the month, the part in which the plan was in force; it prorates the minimum, never an allowance. */
  share: Fraction;
  /** What was used under the plan, by meter: a counter's sum, a gauge's average level over the whole month. Not negative. */
  quantities: ReadonlyMap<string, Fraction>;
}

export interface MonthLine extends PlanLine {
  meter: Meter;
  quantity: Fraction;
}

/** What is missing to the least that the plan's usage costs a month. */
export interface TrueUp {
  minimumUsdMicros: bigint;
  usageUsdMicros: bigint;
  amountUsdMicros: bigint;
}

export interface RatedMonth {
  /** One line a meter that was used and has a charge. */
  lines: MonthLine[];
  /** Null where the plan commits to no minimum, or where usage has reached it. */
  trueUp: TrueUp | null;
}

/** Rates a billing month under one plan. Pure: the running month, the final invoice and a simulation come out of this one function. */
export function rateMonth({ plan, meters, share, quantities }: PlanUse): RatedMonth {
  const lines = meters.flatMap((meter): MonthLine[] => {
    const quantity = quantities.get(meter.name);
    if (!quantity || quantity.numerator === 0n || !Object.hasOwn(plan.charges, meter.name)) return [];
    return [{ meter, quantity, ...ratePlanLine(plan, meter, quantity) }];
  });
  const usage = lines.reduce((sum, line) => sum + line.rated.amountUsdMicros, 0n);
  return { lines, trueUp: trueUpOf(plan, share, usage) };
}

/** What the plan's minimum adds to `usageUsdMicros`; null for nothing. */
function trueUpOf(plan: Plan, share: Fraction, usageUsdMicros: bigint): TrueUp | null {
  const minimum = round(multiply(fraction(BigInt(plan.minimumUsdMicrosPerMonth ?? 0)), share));
  if (minimum <= usageUsdMicros) return null;
  return { minimumUsdMicros: minimum, usageUsdMicros, amountUsdMicros: minimum - usageUsdMicros };
}
