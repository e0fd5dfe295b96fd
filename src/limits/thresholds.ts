import type { Catalog, Plan } from "../catalog/catalog.ts";
import { thresholdOf } from "../kernel/quantity.ts";
import type { Period } from "../kernel/window.ts";
import type { CapThreshold } from "./limit-sources.ts";

/** Where a limit warns when nothing else says so, in percent. */
export const DEFAULT_NOTIFY_PERCENT = 80;
/** Reaching a limit is always told. */
const REACHED_PERCENT = 100;

/** A share of a limit whose reaching is told once a window. */
export interface Threshold {
  meter: string;
  gauge: boolean;
  /** Of a gauge only the window that dates the notification. */
  period: Period;
  source: "plan" | "cap";
  limit: number;
  percent: number;
  /** The least quantity that reaches it. */
  at: number;
}

/**
 * The thresholds of an account: of every cap, hard or soft, and of every allowance of its plan, whether it stops or is billed beyond.
 * Ordered by meter, then by how early they are reached.
 */
export function thresholdsInForce(catalog: Catalog, plan: Plan, caps: readonly CapThreshold[]): Threshold[] {
  return catalog.meters.flatMap(({ name: meter, kind }) => {
    const gauge = kind === "gauge";
    const allowance = plan.allowances[meter];
    const ofPlan = allowance
      ? thresholdsOf(
          { meter, gauge, period: gauge ? "month" : allowance.period, source: "plan", limit: allowance.quantity },
          DEFAULT_NOTIFY_PERCENT,
        )
      : [];
    const ofCaps = caps
      .filter((cap) => cap.meter === meter)
      .flatMap((cap) => thresholdsOf({ meter, gauge, period: cap.period, source: "cap", limit: cap.capValue }, cap.notifyAtPercent));
    return [...ofPlan, ...ofCaps].sort((a, b) => a.at - b.at || a.percent - b.percent);
  });
}

/** The lowest threshold of a meter in a period: below it nothing need be looked at. Null where there is none. */
export function lowestThreshold(thresholds: readonly Threshold[], meter: string, period: Period): number | null {
  const own = thresholds.filter((t) => t.meter === meter && t.period === period);
  return own.length === 0 ? null : Math.min(...own.map((t) => t.at));
}

function thresholdsOf(of: Omit<Threshold, "percent" | "at">, notifyAtPercent: number): Threshold[] {
  return [...new Set([notifyAtPercent, REACHED_PERCENT])].map((percent) => ({ ...of, percent, at: thresholdOf(of.limit, percent) }));
}
