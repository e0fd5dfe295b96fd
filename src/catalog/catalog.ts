import type { z } from "zod";
import { notFound } from "../kernel/errors.ts";
import type { FACTS, catalogSchema, meterSchema, operationSchema, planSchema, productSchema } from "./schema.ts";

/** What is sold and counted: one version of the catalogue document. Pure data; a version never changes. */
export type Catalog = z.infer<typeof catalogSchema>;
export type Product = z.infer<typeof productSchema>;
export type Meter = z.infer<typeof meterSchema>;
/** What one call of the data plane counts. */
export type Operation = z.infer<typeof operationSchema>;
export type UsageRule = Operation["usage"][string];
export type Fact = (typeof FACTS)[number];
/** The plan document: what a plan includes, where it stops and what it costs. */
export type Plan = z.infer<typeof planSchema>;
export type Allowance = Plan["allowances"][string];
export type { Charge } from "./charge.ts";

/** The plan of an account that names none. */
export const DEFAULT_PLAN = "free";

interface Index {
  meters: Map<string, Meter>;
  plans: Map<string, Plan>;
}

// One index a version, dropped with it: lookups sit on the way of every check.
const indexes = new WeakMap<Catalog, Index>();

function indexOf(catalog: Catalog): Index {
  let index = indexes.get(catalog);
  if (!index) {
    index = {
      meters: new Map(catalog.meters.map((m) => [m.name, m])),
      plans: new Map(catalog.plans.map((p) => [p.key, p])),
    };
    indexes.set(catalog, index);
  }
  return index;
}

export const findMeter = (catalog: Catalog, name: string): Meter | undefined => indexOf(catalog).meters.get(name);

export const findPlan = (catalog: Catalog, key: string): Plan | undefined => indexOf(catalog).plans.get(key);

/** The meter of that name; throws `not_found`. */
export function meter(catalog: Catalog, name: string): Meter {
  const found = findMeter(catalog, name);
  if (!found) throw notFound(`Meter ${name}`);
  return found;
}

/** The plan of that key; throws `not_found`. */
export function plan(catalog: Catalog, key: string): Plan {
  const found = findPlan(catalog, key);
  if (!found) throw notFound(`Plan ${key}`);
  return found;
}

/** The meters of a product, in the catalogue's order. */
export const metersOf = (catalog: Catalog, product: string): Meter[] => catalog.meters.filter((m) => m.product === product);

/** True when the plan bills what is used beyond its allowances. */
export const hasPaidOverages = (of: Plan): boolean => Object.keys(of.charges).length > 0;

/** True when the plan can cost something, so that its currency matters. */
export const isPriced = (of: Plan): boolean =>
  of.subscriptionUsdMicrosPerMonth > 0 || (of.minimumUsdMicrosPerMonth ?? 0) > 0 || hasPaidOverages(of);

/** True when the plan's usage stops where prepaid credits no longer pay for it. */
export const stopsAtCredits = (of: Plan): boolean => of.credits?.required === true;
