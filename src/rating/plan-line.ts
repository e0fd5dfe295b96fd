import type { Catalog, Charge, Meter, Plan } from "../catalog/catalog.ts";
import type { Fraction } from "../kernel/money.ts";
import { excess, fraction } from "../kernel/money.ts";
import { includedIn, quantityOf, rate } from "./rate.ts";
import type { Quantity, Rated } from "./rate.ts";

/** A meter's billing month under a plan. */
export interface PlanLine {
  /** What the month includes, in the base unit; null where the plan includes no figure a month. */
  included: Fraction | null;
  /** Null where the plan names no charge: nothing is billed, whatever was used. */
  charge: Charge | null;
  rated: Rated;
}

const NOTHING_RATED: Rated = { amountUsdMicros: 0n, billable: "0", tiers: [] };

/**
 * Rates one meter's billing month. The estimate, the upcoming invoice and the final one all come through here, so they agree.
 * The plan's allowance comes off first and the charge prices what is left; a charge that says itself what it includes is taken at
 * its word, and the allowance is then only the limit. `quantity` is the month's sum of a counter, or a gauge's average level.
 */
export function ratePlanLine(plan: Plan, meter: Meter, quantity: Quantity): PlanLine {
  const charge = plan.charges[meter.name] ?? null;
  const included = includedPerMonth(plan, meter);
  if (!charge) return { included, charge, rated: NOTHING_RATED };
  if (saysIncluded(charge)) return { included, charge, rated: rate(charge, quantity) };
  const used = quantityOf(quantity);
  return { included, charge, rated: rate(charge, included ? excess(used, included) : used) };
}

/** What a billing month of the meter includes; null where the plan gives no figure a month (a day's allowance is a limit only). */
function includedPerMonth(plan: Plan, meter: Meter): Fraction | null {
  const charge = plan.charges[meter.name];
  if (charge && saysIncluded(charge)) return includedIn(charge);
  const allowance = plan.allowances[meter.name];
  // A gauge's allowance is a level: it holds at every instant, so its period says nothing.
  if (!allowance || (allowance.period === "day" && meter.kind === "counter")) return null;
  return fraction(BigInt(allowance.quantity));
}

const saysIncluded = (charge: Charge): boolean =>
  charge.model === "percentage" ? charge.includedUsdMicros !== undefined : "included" in charge && charge.included !== undefined;

/** The unit a price is quoted in: the meter's own name for it where the sizes agree ("million requests"), else "<size> <unit>". */
export function billingUnitOf(meter: Meter, size: number): string {
  if (meter.billingUnit?.size === size) return meter.billingUnit.name;
  return size === 1 ? meter.unit : `${size} ${meter.unit}`;
}

/** The meters a plan says something about, in the catalogue's order. */
export const metersOfPlan = (catalog: Catalog, plan: Plan): Meter[] =>
  catalog.meters.filter((m) => Object.hasOwn(plan.charges, m.name) || Object.hasOwn(plan.allowances, m.name));
