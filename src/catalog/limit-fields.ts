import type { Catalog, Meter, Plan, Product } from "./catalog.ts";
import { metersOf } from "./catalog.ts";

/** One limit as the pricing document names it. */
export interface LimitField {
  name: string;
  /** Its value under a plan; null where the plan sets none. */
  valueIn: (plan: Plan) => number | null;
}

/** `state_requests` → `stateRequests`. */
export const camelCase = (name: string): string => name.replace(/[_-]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The limit fields of a meter: one a period for a counter, one for a gauge's level. Derived from the plan's allowance. */
export function limitFieldsOfMeter(meter: Meter): LimitField[] {
  const base = meter.limitField?.name ?? camelCase(meter.name);
  const unitSize = meter.limitField?.unitSize ?? 1;
  const scaled = (quantity: number): number => Number(BigInt(quantity) / BigInt(unitSize));
  if (meter.kind === "gauge") {
    const valueIn = (plan: Plan): number | null => {
      const allowance = plan.allowances[meter.name];
      return allowance ? scaled(allowance.quantity) : null;
    };
    return [{ name: `${base}PerAccount`, valueIn }];
  }
  return (["day", "month"] as const).map((period) => ({
    name: `${base}Per${period === "day" ? "Day" : "Month"}`,
    valueIn: (plan) => {
      const allowance = plan.allowances[meter.name];
      return allowance?.period === period ? scaled(allowance.quantity) : null;
    },
  }));
}

/** All limit fields of a product: those of its meters, then its ceilings, rearranged as `limitFieldOrder` says. */
export function limitFieldsOf(catalog: Catalog, product: Product): LimitField[] {
  const fields = [
    ...metersOf(catalog, product.key).flatMap(limitFieldsOfMeter),
    ...product.ceilings.map(({ name }) => ({ name, valueIn: (plan: Plan) => plan.ceilings[name] ?? null })),
  ];
  const rank = new Map(product.limitFieldOrder.map((name, index) => [name, index]));
  const last = product.limitFieldOrder.length;
  // Array.sort is stable: fields without a rank keep their order behind the ranked ones.
  return fields.sort((a, b) => (rank.get(a.name) ?? last) - (rank.get(b.name) ?? last));
}
