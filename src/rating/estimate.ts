import { capCommand } from "../catalog/cap-command.ts";
import type { Catalog, Charge, Meter, Plan } from "../catalog/catalog.ts";
import { hasPaidOverages } from "../catalog/catalog.ts";
import type { Fraction } from "../kernel/money.ts";
import { decimal, fraction, jsonAmount } from "../kernel/money.ts";
import { trueUpOf } from "./month.ts";
import { billingUnitOf, metersOfPlan, ratePlanLine } from "./plan-line.ts";

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

interface QuotedPrice {
  size: number;
  price: number | null;
}

/** Price and size as whole numbers: "0.15" per 1 is told as 15 per 100, since a fraction in JSON would be a float. */
function quotedPrice(meter: Meter, charge: Charge | null): QuotedPrice {
  const unpriced: QuotedPrice = { size: meter.billingUnit?.size ?? 1, price: null };
  if (charge?.model !== "per_unit" && charge?.model !== "package") return unpriced;
  const size = charge.model === "package" ? charge.packageSize : charge.unitSize;
  const { numerator, denominator } = decimal(charge.priceUsdMicros);
  if (numerator % denominator === 0n) return { size, price: safe(numerator / denominator) };
  // A package is sold whole: a package of another size would round differently.
  const grown = safe(BigInt(size) * denominator);
  return charge.model === "package" || grown === null ? { size, price: null } : { size: grown, price: safe(numerator) };
}

const safe = (n: bigint): number | null => (Number.isSafeInteger(Number(n)) ? Number(n) : null);

const wholeNumber = ({ numerator, denominator }: Fraction): number | null =>
  numerator % denominator === 0n ? safe(numerator / denominator) : null;

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
