import { decimal, divide, formatDecimal, fraction, multiply } from "../kernel/money.ts";
import { capCommand } from "./cap-command.ts";
import type { Catalog, Meter, Plan, Product } from "./catalog.ts";
import { findPlan, hasPaidOverages, metersOf } from "./catalog.ts";
import { camelCase, limitFieldsOf } from "./limit-fields.ts";

/** A price as JSON: a number where it is whole, else a decimal string; null where the plan names none or the price has tiers. */
export type PriceValue = number | string | null;

export interface PricingPlan {
  key: string;
  name: string;
  subscriptionUsdMicrosPerMonth: number;
  paidOverages: boolean;
  limits: Record<string, number | null>;
  /** By group, then field: the dotted paths of `pricing_fields` lead here. */
  pricing: Record<string, Record<string, PriceValue>>;
}

export interface PricingProduct {
  key: string;
  name: string;
  summary: string;
  meters: string[];
  meter_details: {
    name: string;
    unit: string;
    kind: "counter" | "gauge";
    description: string;
    cap_commands: { day: string; month: string };
  }[];
  limit_fields: { name: string; free: number | null; pro: number | null }[];
  pricing_fields: { name: string; value: PriceValue }[];
}

/** What `GET /v1/pricing` answers: names in the casing that clients of the platform already read. */
export interface PricingDocument {
  currency: "USD";
  plans: PricingPlan[];
  products: PricingProduct[];
}

/** The catalogue as its readers know it. `free`, `pro` and the prices shown by product are those of the plans with these keys. */
export function pricingDocument(catalog: Catalog): PricingDocument {
  return {
    currency: catalog.currency,
    plans: catalog.plans.map((plan) => planEntry(catalog, plan)),
    products: catalog.products.map((product) => productEntry(catalog, product)),
  };
}

function planEntry(catalog: Catalog, plan: Plan): PricingPlan {
  const fields = catalog.products.flatMap((product) => limitFieldsOf(catalog, product));
  const pricing: PricingPlan["pricing"] = {};
  for (const meter of catalog.meters) {
    const { group, field } = priceFieldOf(meter);
    (pricing[group] ??= {})[field] = priceIn(plan, meter);
  }
  return {
    key: plan.key,
    name: plan.name,
    subscriptionUsdMicrosPerMonth: plan.subscriptionUsdMicrosPerMonth,
    paidOverages: hasPaidOverages(plan),
    limits: Object.fromEntries(fields.map((f) => [f.name, f.valueIn(plan)])),
    pricing,
  };
}

function productEntry(catalog: Catalog, product: Product): PricingProduct {
  const meters = metersOf(catalog, product.key);
  const free = findPlan(catalog, "free");
  const pro = findPlan(catalog, "pro");
  return {
    key: product.key,
    name: product.name,
    summary: product.summary,
    meters: meters.map((m) => m.name),
    meter_details: meters.map((m) => ({
      name: m.name,
      unit: m.unit,
      kind: m.kind,
      description: m.description,
      cap_commands: { day: capCommand(m, "day"), month: capCommand(m, "month") },
    })),
    limit_fields: limitFieldsOf(catalog, product).map((field) => ({
      name: field.name,
      free: free ? field.valueIn(free) : null,
      pro: pro ? field.valueIn(pro) : null,
    })),
    pricing_fields: meters.map((m) => {
      const { group, field } = priceFieldOf(m);
      return { name: `pricing.${group}.${field}`, value: pro ? priceIn(pro, m) : null };
    }),
  };
}

/** Where a meter's price stands in `plans[].pricing`. */
export function priceFieldOf(meter: Meter): { group: string; field: string } {
  const path = meter.priceField ?? `${camelCase(meter.product)}.${camelCase(meter.name)}OverageUsdMicrosPerBillingUnit`;
  const [group = "", field = ""] = path.split(".");
  return { group, field };
}

/** The price of one billing unit of the meter. A charge may be priced over another size; the ratio is exact or shown as null. */
function priceIn(plan: Plan, meter: Meter): PriceValue {
  const charge = plan.charges[meter.name];
  if (charge?.model !== "per_unit") return null;
  const size = fraction(BigInt(meter.billingUnit?.size ?? 1));
  const price = divide(multiply(decimal(charge.priceUsdMicros), size), fraction(BigInt(charge.unitSize)));
  try {
    const text = formatDecimal(price);
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : text;
  } catch {
    return null;
  }
}
