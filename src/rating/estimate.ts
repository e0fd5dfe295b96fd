import { capCommand } from "../catalog/cap-command.ts";
import type { Catalog, Meter, Plan } from "../catalog/catalog.ts";
import { hasPaidOverages } from "../catalog/catalog.ts";
import type { Fraction } from "../kernel/money.ts";
import { fraction, jsonAmount } from "../kernel/money.ts";
import { trueUpOf } from "./month.ts";
import { billingUnitOf, metersOfPlan, ratePlanLine } from "./plan-line.ts";
import { quotedPrice, safeNumber } from "./quoted-price.ts";

/** One meter's month so far. Quantities are in `usageUnit`, amounts in micro-dollars. */
export interface EstimateLine {
  product: string;
  meter: string;
  currentMonthUsed: number;
  /** Null where the plan includes no figure a month. */
  includedPerMonth: number | null;
  billableAmount: number;
  usageUnit: string;
  billingUnit: string;
  billingUnitSize: number;
  /** Null where the plan has no price, or none that one number could say (tiers, a percentage). */
  priceUsdMicrosPerBillingUnit: number | null;
  rounding: "prorated_to_micro_usd" | "next_billing_unit";
  estimatedUsdMicros: number;
  estimateBasis: "current_month_usage_window" | "current_storage_bytes_as_full_month";
}

export interface BillingEstimate {
  currency: string;
  plan: string;
  paidOveragesEnabled: boolean;
  subscriptionUsdMicrosPerMonth: number;
  currentMonthOverageUsdMicros: number;
  estimatedMonthlyTotalUsdMicros: number;
  lineItems: EstimateLine[];
  nextActions: string[];
}

/** What was used under a plan that was in force earlier in the month. */
export interface EarlierUse {
  plan: Plan;
  /** Counters, by meter. */
  quantities: Readonly<Record<string, number>>;
}

export interface EstimateInput {
  /** The one that prices the month. */
  catalog: Catalog;
  /** The plan in force. */
  plan: Plan;
  /** Counters: what the billing month holds so far, by meter. */
  monthUsage: Readonly<Record<string, number>>;
  /** Gauges: the account's present level, by meter. */
  storageLevels: Readonly<Record<string, number>>;
  /** Of `monthUsage`, what earlier plans of the month are billed for. */
  earlier?: readonly EarlierUse[];
  /** Of the month, the part in which the plan is in force; 1 where left out. */
  share?: Fraction;
}

/** Actions named at most: one screen. */
const NEXT_ACTIONS_MAX = 16;
/** Its meters are listed also at zero: what a new account looks at first. */
const ALWAYS_LISTED_PRODUCT = "state";

/** What the billing month costs as it stands: used counters as they are, stored bytes as if for the full month. Pure. */
export function billingEstimate(input: EstimateInput): BillingEstimate {
  const { catalog, plan, monthUsage, storageLevels, earlier = [], share = fraction(1n) } = input;
  const usedOf = (meter: Meter): number => (meter.kind === "gauge" ? storageLevels[meter.name] : monthUsage[meter.name]) ?? 0;
  const of = new Set(metersOfPlan(catalog, plan));
  const meters = catalog.meters.filter((m) => m.product === ALWAYS_LISTED_PRODUCT || (of.has(m) && usedOf(m) > 0));
  const lineItems = meters.map((meter) => estimateLine(plan, meter, usedOf(meter), earlier));
  const overage = lineItems.reduce((sum, line) => sum + BigInt(line.estimatedUsdMicros), 0n);
  const trueUp = trueUpOf(plan, share, overage)?.amountUsdMicros ?? 0n;
  return {
    currency: plan.currency,
    plan: plan.key,
    paidOveragesEnabled: hasPaidOverages(plan),
    subscriptionUsdMicrosPerMonth: plan.subscriptionUsdMicrosPerMonth,
    currentMonthOverageUsdMicros: jsonAmount(overage),
    estimatedMonthlyTotalUsdMicros: jsonAmount(BigInt(plan.subscriptionUsdMicrosPerMonth) + overage + trueUp),
    lineItems,
    nextActions: nextActions(catalog, plan, lineItems),
  };
}

function estimateLine(plan: Plan, meter: Meter, used: number, earlier: readonly EarlierUse[]): EstimateLine {
  const before = earlier.map(({ plan: other, quantities }) => ({ plan: other, quantity: BigInt(quantities[meter.name] ?? 0) }));
  const here = before.reduce((rest, { quantity }) => rest - quantity, BigInt(used));
  const { included, charge, rated } = ratePlanLine(plan, meter, here < 0n ? 0n : here);
  const all = [rated, ...before.map((use) => ratePlanLine(use.plan, meter, use.quantity).rated)];
  const unit = quotedPrice(meter, charge);
  return {
    product: meter.product,
    meter: meter.name,
    currentMonthUsed: used,
    includedPerMonth: included && wholeNumber(included),
    billableAmount: all.reduce((sum, { billable }) => sum + Number(billable), 0),
    usageUnit: meter.unit,
    billingUnit: billingUnitOf(meter, unit.size),
    billingUnitSize: unit.size,
    priceUsdMicrosPerBillingUnit: unit.price,
    rounding: charge?.model === "package" ? "next_billing_unit" : "prorated_to_micro_usd",
    estimatedUsdMicros: jsonAmount(all.reduce((sum, { amountUsdMicros }) => sum + amountUsdMicros, 0n)),
    estimateBasis: meter.kind === "gauge" ? "current_storage_bytes_as_full_month" : "current_month_usage_window",
  };
}

const wholeNumber = ({ numerator, denominator }: Fraction): number | null =>
  numerator % denominator === 0n ? safeNumber(numerator / denominator) : null;

function nextActions(catalog: Catalog, plan: Plan, lines: EstimateLine[]): string[] {
  if (!hasPaidOverages(plan)) {
    const paid = catalog.plans.find(hasPaidOverages);
    const upgrade = paid ? ` To go on past them, change the subscription to ${paid.key}.` : "";
    return [`${plan.name} stops at its allowances; nothing is billed beyond them.${upgrade}`];
  }
  const over = lines.filter((line) => line.estimatedUsdMicros > 0).sort((a, b) => b.estimatedUsdMicros - a.estimatedUsdMicros);
  if (over.length === 0) return ["Everything used this month is included. To rule out overage, cap a meter at what the plan includes."];
  return over.slice(0, NEXT_ACTIONS_MAX).map((line) => {
    const command = capCommand({ name: line.meter }, "month", line.currentMonthUsed);
    return `${line.meter} is billed beyond what ${plan.name} includes. To stop it where it is: ${command}`;
  });
}
