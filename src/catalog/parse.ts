import type { z } from "zod";
import type { FieldError } from "../kernel/errors.ts";
import { validationFailed } from "../kernel/errors.ts";
import type { Catalog, Plan } from "./catalog.ts";
import { catalogFaults, planFaults } from "./cross-check.ts";
import document from "./default.json" with { type: "json" };
import { catalogPatchSchema, catalogSchema, planSchema } from "./schema.ts";

/** Errors told at once; a document with more is not worth reading further. */
const ERRORS_MAX = 50;

/** Reads a whole catalogue document. Throws `validation_failed` with a path and a sentence for each fault. */
export function parseCatalog(json: unknown): Catalog {
  const catalog = parsed(catalogSchema, json);
  refuse(catalogFaults(catalog));
  return frozen({ ...catalog, plans: catalog.plans.map((p) => withoutDerivedCeilings(catalog, p)) });
}

/** Reads one plan document, as the simulator takes it, under a catalogue. Throws `validation_failed`. */
export function parsePlan(catalog: Catalog, json: unknown): Plan {
  const plan = parsed(planSchema, json);
  refuse(planFaults(catalog, plan));
  return frozen(withoutDerivedCeilings(catalog, plan));
}

/**
 * `current` with an operator's file laid over it. The file may hold any of the sections; each entry (a product, meter, operation or
 * plan) replaces the one of the same key as a whole, or is added at the end. Nothing is ever removed: accounts and ledger rows
 * name the meters and plans of the past. Throws `validation_failed`, also for unknown fields.
 */
export function mergeCatalog(current: Catalog, patch: unknown): Catalog {
  const file = parsed(catalogPatchSchema, patch);
  refuse([...repeated(file.products, "products", (p) => p.key), ...repeated(file.meters, "meters", (m) => m.name)]);
  refuse(repeated(file.plans, "plans", (p) => p.key));
  return parseCatalog({
    currency: file.currency ?? current.currency,
    products: laidOver(current.products, file.products ?? [], (p) => p.key),
    meters: laidOver(current.meters, file.meters ?? [], (m) => m.name),
    operations: { ...current.operations, ...file.operations },
    plans: laidOver(current.plans, file.plans ?? [], (p) => p.key),
  });
}

let shipped: Catalog | undefined;

/** The catalogue that ships with Weir: all 24 meters, Free and Pro. */
export function defaultCatalog(): Catalog {
  shipped ??= parseCatalog(document);
  return shipped;
}

/** `catalog` with the operations that ship since it was applied: a data plane newer than the document still knows what it counts. */
export const withShippedOperations = (catalog: Catalog): Catalog =>
  parseCatalog({ ...catalog, operations: { ...defaultCatalog().operations, ...catalog.operations } });

function parsed<T extends z.ZodType>(schema: T, json: unknown): z.infer<T> {
  const result = schema.safeParse(json);
  if (!result.success) throw validationFailed(result.error.issues.slice(0, ERRORS_MAX).map(fieldError));
  return result.data;
}

const fieldError = (issue: z.core.$ZodIssue): FieldError => ({
  path: issue.path.map(String).join("."),
  message: issue.message,
});

function refuse(errors: FieldError[]): void {
  if (errors.length > 0) throw validationFailed(errors.slice(0, ERRORS_MAX));
}

// Without this, an entry given twice in one file would silently count once, the later one.
function repeated<T>(entries: T[] | undefined, section: string, keyOf: (entry: T) => string): FieldError[] {
  const keys = (entries ?? []).map(keyOf);
  return keys.flatMap((key, index) =>
    keys.indexOf(key) === index ? [] : [{ path: `${section}.${index}`, message: `${key} is there twice` }],
  );
}

function laidOver<T>(current: T[], file: T[], keyOf: (entry: T) => string): T[] {
  const entries = new Map(current.map((entry) => [keyOf(entry), entry]));
  for (const entry of file) entries.set(keyOf(entry), entry);
  return [...entries.values()];
}

// They were checked to say what the allowances say; kept, they would contradict the next change of an allowance.
function withoutDerivedCeilings(catalog: Catalog, plan: Plan): Plan {
  const own = new Set(catalog.products.flatMap((p) => p.ceilings.map((c) => c.name)));
  return { ...plan, ceilings: Object.fromEntries(Object.entries(plan.ceilings).filter(([name]) => own.has(name))) };
}

/** A version never changes: writing to one throws. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}
