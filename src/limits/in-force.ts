import { stopsAtCredits, type Catalog, type Meter, type Plan } from "../catalog/catalog.ts";
import type { Period } from "../kernel/window.ts";
import type { Cap } from "./cap.ts";
import type { CreditLimits } from "./credit-limit-store.ts";

/** The hard limits of one meter in one period: base quantities, null where none stops. */
export interface HardLimits {
  plan: number | null;
  cap: number | null;
}

export interface LimitsInForce {
  meters: { meter: Meter; periods: Record<Period, HardLimits> }[];
  /** Bytes one object may hold. */
  objectCeiling: number | null;
  /** Bytes of key + value in one request. */
  payloadCeiling: number | null;
}

/**
 * What stops an account, from its plan and its caps. A plan's allowance stops only where it is hard; a gauge has no window,
 * so what its plan says stands under `month`, and a cap's period only dates its notification. Where the plan stops at credits, a counter
 * that costs something also stops at what they cover: at nothing, where nothing was set aside for it yet.
 */
export function limitsInForce(catalog: Catalog, plan: Plan, caps: readonly Cap[], credits: CreditLimits): LimitsInForce {
  const credited = new Set(creditedMeters(catalog, plan));
  const capped = (meter: string, period: Period): number | null =>
    caps.find((c) => c.meter === meter && c.period === period && c.hardStop)?.capValue ?? null;
  return {
    meters: catalog.meters.map((meter) => {
      const allowance = plan.allowances[meter.name];
      const planLimit = (period: Period): number | null => {
        const covered = period === "month" && credited.has(meter.name) ? (credits.get(meter.name) ?? 0) : null;
        if (!allowance?.hard) return covered;
        const stands = meter.kind === "gauge" ? "month" : allowance.period;
        const limit = stands === period ? allowance.quantity : null;
        return limit === null || covered === null ? (limit ?? covered) : Math.min(limit, covered);
      };
      const periodLimits = (period: Period): HardLimits => ({ plan: planLimit(period), cap: capped(meter.name, period) });
      return { meter, periods: { day: periodLimits("day"), month: periodLimits("month") } };
    }),
    objectCeiling: plan.ceilings["stateSqliteStorageBytesPerObject"] ?? null,
    payloadCeiling: plan.ceilings["stateKeyValueSizeBytes"] ?? null,
  };
}

/** The counters that stop where credits no longer pay for them: those with a charge, under a plan that stops at credits. */
export const creditedMeters = (catalog: Catalog, plan: Plan): string[] =>
  stopsAtCredits(plan)
    ? catalog.meters.filter(({ name, kind }) => kind === "counter" && Object.hasOwn(plan.charges, name)).map(({ name }) => name)
    : [];
