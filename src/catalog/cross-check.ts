import type { FieldError } from "../kernel/errors.ts";
import type { Catalog, Meter, Plan } from "./catalog.ts";
import { limitFieldsOf, limitFieldsOfMeter } from "./limit-fields.ts";
import { priceFieldOf } from "./pricing.ts";

/**
 * What no schema can see: names that must exist elsewhere in the document, and entries that must not contradict. Paths name entries
 * by key, not by index: in a file laid over the catalogue the index would be the merged document's, which the operator never saw.
 */
export function catalogFaults(catalog: Catalog): FieldError[] {
  const meters = new Map(catalog.meters.map((m) => [m.name, m]));
  return [
    ...twice(catalog.products, "products", (p) => p.key),
    ...twice(catalog.meters, "meters", (m) => m.name),
    ...twice(catalog.plans, "plans", (p) => p.key),
    ...twice(catalog.meters, "meters", (m) => `the price field ${priceFieldOf(m).group}.${priceFieldOf(m).field}`),
    ...meterFaults(catalog),
    ...limitFieldFaults(catalog),
    ...operationFaults(catalog, meters),
    ...catalog.plans.flatMap((plan) => planFaults(catalog, plan, `plans.${plan.key}.`)),
  ];
}

/** What is wrong with a plan under this catalogue. `prefix` is where the plan stands in the document ("" on its own). */
export function planFaults(catalog: Catalog, plan: Plan, prefix = ""): FieldError[] {
  const meters = new Map(catalog.meters.map((m) => [m.name, m]));
  const errors: FieldError[] = [];
  for (const [section, entries] of Object.entries({ allowances: plan.allowances, charges: plan.charges })) {
    for (const name of Object.keys(entries)) {
      if (!meters.has(name)) errors.push({ path: `${prefix}${section}.${name}`, message: "is not a meter of the catalogue" });
    }
  }
  for (const [name, charge] of Object.entries(plan.charges)) {
    const allowance = plan.allowances[name];
    const saysIncluded = "included" in charge && charge.included !== undefined;
    // A day's allowance cannot be taken off a month's quantity: 31 days of 100,000 are not 3,100,000 to use on one day.
    if (allowance?.period === "day" && meters.get(name)?.kind === "counter" && !saysIncluded) {
      const message = "its allowance is per day; make the allowance per month, or say in the charge what is included a billing month";
      errors.push({ path: `${prefix}charges.${name}`, message });
    }
  }
  return [...errors, ...ceilingFaults(catalog, plan, meters, prefix)];
}

function ceilingFaults(catalog: Catalog, plan: Plan, meters: Map<string, Meter>, prefix: string): FieldError[] {
  const known = new Set(catalog.products.flatMap((p) => p.ceilings.map((c) => c.name)));
  const derived = new Map([...meters.values()].flatMap((m) => limitFieldsOfMeter(m).map((f) => [f.name, f])));
  return Object.entries(plan.ceilings).flatMap(([name, value]) => {
    const path = `${prefix}ceilings.${name}`;
    if (known.has(name)) return [];
    const field = derived.get(name);
    if (!field) return [{ path, message: "is not a limit field of the catalogue" }];
    // A limit that an allowance sets may be repeated here, as the pricing document shows it, but not contradicted.
    const set = field.valueIn(plan);
    return set === value ? [] : [{ path, message: `follows from the plan's allowances (${set ?? "none"}); set it there` }];
  });
}

function meterFaults(catalog: Catalog): FieldError[] {
  const products = new Set(catalog.products.map((p) => p.key));
  const ceilings = new Set(catalog.products.flatMap((p) => p.ceilings.map((c) => c.name)));
  return catalog.meters.flatMap((meter) => {
    const at = `meters.${meter.name}`;
    const errors: FieldError[] = [];
    if (!products.has(meter.product)) errors.push({ path: `${at}.product`, message: `${meter.product} is not a product of the catalogue` });
    if (meter.ceilings && meter.kind !== "gauge") errors.push({ path: `${at}.ceilings`, message: "only a gauge has ceilings" });
    for (const [level, name] of Object.entries(meter.ceilings ?? {})) {
      if (name !== undefined && !ceilings.has(name))
        errors.push({ path: `${at}.ceilings.${level}`, message: `${name} is not a ceiling of any product` });
    }
    return errors;
  });
}

function limitFieldFaults(catalog: Catalog): FieldError[] {
  const owners = new Map<string, string>();
  return catalog.products.flatMap((product) => {
    const at = `products.${product.key}`;
    const errors: FieldError[] = [];
    const names = limitFieldsOf(catalog, product).map((f) => f.name);
    for (const name of names) {
      const other = owners.get(name);
      if (other !== undefined) errors.push({ path: at, message: `limit field ${name} exists already, in ${other}` });
      owners.set(name, product.key);
    }
    for (const name of product.limitFieldOrder) {
      if (!names.includes(name)) errors.push({ path: `${at}.limitFieldOrder`, message: `${name} is not a limit field of ${product.key}` });
    }
    return errors;
  });
}

function operationFaults(catalog: Catalog, meters: Map<string, Meter>): FieldError[] {
  return Object.entries(catalog.operations).flatMap(([operation, { usage }]) =>
    Object.keys(usage).flatMap((name) => {
      const path = `operations.${operation}.usage.${name}`;
      const kind = meters.get(name)?.kind;
      if (kind === undefined) return [{ path, message: "is not a meter of the catalogue" }];
      // A gauge is a level that is measured, never added to by a call.
      return kind === "gauge" ? [{ path, message: "is a gauge; an operation counts counters only" }] : [];
    }),
  );
}

function twice<T>(entries: T[], section: string, keyOf: (entry: T) => string): FieldError[] {
  const seen = new Set<string>();
  return entries.flatMap((entry, index) => {
    const key = keyOf(entry);
    if (seen.has(key)) return [{ path: `${section}.${index}`, message: `${key} is there twice` }];
    seen.add(key);
    return [];
  });
}
