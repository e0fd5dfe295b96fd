import { capCommand } from "../catalog/cap-command.ts";
import type { Catalog, Meter, Plan } from "../catalog/catalog.ts";
import { hasPaidOverages } from "../catalog/catalog.ts";
import { add, jsonAmount, parseExact, round, ZERO, type Fraction } from "../kernel/money.ts";
import { burnCredits, coveredByCredits, type CreditLeft } from "./credits.ts";
import type { MonthLine, RatedMonth } from "./month.ts";
import { billingUnitOf, metersOfPlan, ratePlanLine } from "./plan-line.ts";
import { quotedPrice, safeNumber } from "./quoted-price.ts";

/** One meter's month so far. Quantities are in `usageUnit`, amounts in micro-dollars. */
export interface EstimateLine {
  product: string;
  meter: string;
  /** Of a gauge the present level. */
  currentMonthUsed: number;
  /** Null where the plan includes no figure a month. */
  includedPerMonth: number | null;
  /** Of a gauge what its average over the month passes the included level by, if it stays as it is. */
  billableAmount: number;
  usageUnit: string;
  billingUnit: string;
  billingUnitSize: number;
  /** Null where the plan has no price, or none that one number could say (tiers, a percentage). */
  priceUsdMicrosPerBillingUnit: number | null;
  rounding: "prorated_to_micro_usd" | "next_billing_unit";
  estimatedUsdMicros: number;
  estimateBasis: "current_month_usage_window" | "month_average_at_current_storage_bytes";
}

export interface BillingEstimate {
  currency: string;
  plan: string;
  paidOveragesEnabled: boolean;
  subscriptionUsdMicrosPerMonth: number;
  currentMonthOverageUsdMicros: number;
  /** What prepaid credits pay of usage. */
  creditsAppliedUsdMicros: number;
  estimatedMonthlyTotalUsdMicros: number;
  lineItems: EstimateLine[];
  nextActions: string[];
}

export interface EstimateInput {
  /** The one that prices the month. */
  catalog: Catalog;
  /** The plan in force. */
  plan: Plan;
  /** What is shown as used, by meter: counters of the month, present levels of gauges. */
  used: Readonly<Record<string, number>>;
  /** The month under each plan that it knew, rated as its invoice will be. */
  months: readonly RatedMonth[];
  /** What is left of the prepaid credits that cover the month. */
  credits: readonly CreditLeft[];
}

/** Actions named at most: one screen. */
const NEXT_ACTIONS_MAX = 16;
/** Its meters are listed also at zero: what a new account looks at first. */
const ALWAYS_LISTED_PRODUCT = "state";

/**
 * What the billing month costs as it stands, before anything that is due once (prorations, corrections, discounts, taxes). The amounts are
 * those of `months`: its lines and the usage lines of the invoice are the same numbers. Pure.
 */
export function billingEstimate({ catalog, plan, used, months, credits }: EstimateInput): BillingEstimate {
  const rated = months.flatMap(({ lines }) => lines);
  const of = new Set(metersOfPlan(catalog, plan));
  const isListed = (meter: Meter): boolean =>
    meter.product === ALWAYS_LISTED_PRODUCT ||
    (of.has(meter) && (used[meter.name] ?? 0) > 0) ||
    rated.some((line) => line.meter.name === meter.name);
  const lineItems = catalog.meters.filter(isListed).map((meter) =>
    estimateLine(
      plan,
      meter,
      used[meter.name] ?? 0,
      rated.filter((line) => line.meter.name === meter.name),
    ),
  );
  const overage = rated.reduce((sum, line) => sum + line.rated.amountUsdMicros, 0n);
  const missing = months.reduce((sum, { trueUp }) => sum + (trueUp?.amountUsdMicros ?? 0n), 0n);
  const before = BigInt(plan.subscriptionUsdMicrosPerMonth) + overage + missing;
  const covered = coveredByCredits({
    usageUsdMicros: overage + missing,
    beforeDiscountsUsdMicros: before,
    afterDiscountsUsdMicros: before,
  });
  const burned = burnCredits(covered, plan.currency, credits).reduce((sum, { amountUsdMicros }) => sum + amountUsdMicros, 0n);
  return {
    currency: plan.currency,
    plan: plan.key,
    paidOveragesEnabled: hasPaidOverages(plan),
    subscriptionUsdMicrosPerMonth: plan.subscriptionUsdMicrosPerMonth,
    currentMonthOverageUsdMicros: jsonAmount(overage),
    creditsAppliedUsdMicros: jsonAmount(burned),
    estimatedMonthlyTotalUsdMicros: jsonAmount(before - burned),
    lineItems,
    nextActions: nextActions(catalog, plan, lineItems),
  };
}

/** `rated`: the meter's lines, one a plan of the month that it was used under. */
function estimateLine(plan: Plan, meter: Meter, used: number, rated: readonly MonthLine[]): EstimateLine {
  const { included, charge } = ratePlanLine(plan, meter, 0n);
  const unit = quotedPrice(meter, charge);
  const billable = rated.reduce((sum, line) => add(sum, parseExact(line.rated.billable)), ZERO);
  return {
    product: meter.product,
    meter: meter.name,
    currentMonthUsed: used,
    includedPerMonth: included && wholeNumber(included),
    billableAmount: jsonAmount(round(billable)),
    usageUnit: meter.unit,
    billingUnit: billingUnitOf(meter, unit.size),
    billingUnitSize: unit.size,
    priceUsdMicrosPerBillingUnit: unit.price,
    rounding: charge?.model === "package" ? "next_billing_unit" : "prorated_to_micro_usd",
    estimatedUsdMicros: jsonAmount(rated.reduce((sum, line) => sum + line.rated.amountUsdMicros, 0n)),
    estimateBasis: meter.kind === "gauge" ? "month_average_at_current_storage_bytes" : "current_month_usage_window",
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
