import { isDeepStrictEqual } from "node:util";
import type { Catalog } from "./catalog.ts";

/** One difference between two catalogues. `path` names entries by key: `plans.pro.charges.state_requests.priceUsdMicros`. */
export interface CatalogChange {
  kind: "added" | "removed" | "changed";
  path: string;
  before: unknown;
  after: unknown;
  /** One line for people. */
  text: string;
}

/** What turns `before` into `after`, in the order of the document. Empty when they say the same. */
export function diffCatalogs(before: Catalog, after: Catalog): CatalogChange[] {
  return changes("", keyed(before), keyed(after));
}

/** Lists become maps: an entry is the same entry wherever it stands in its list. */
function keyed(catalog: Catalog): Record<string, unknown> {
  return {
    currency: catalog.currency,
    products: Object.fromEntries(
      catalog.products.map((p) => [p.key, { ...p, ceilings: Object.fromEntries(p.ceilings.map((c) => [c.name, c])) }]),
    ),
    meters: Object.fromEntries(catalog.meters.map((m) => [m.name, m])),
    operations: catalog.operations,
    plans: Object.fromEntries(catalog.plans.map((p) => [p.key, p])),
  };
}

function changes(path: string, before: unknown, after: unknown): CatalogChange[] {
  if (isMap(before) && isMap(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => changes(path ? `${path}.${key}` : key, before[key], after[key]));
  }
  // Not by text: jsonb gives the members of a tier back in another order than they were written in.
  if (isDeepStrictEqual(before, after)) return [];
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)];
  if (before === undefined) return [{ kind: "added", path, before: null, after, text: `+ ${path}: ${is}` }];
  if (after === undefined) return [{ kind: "removed", path, before, after: null, text: `- ${path}: ${was}` }];
  return [{ kind: "changed", path, before, after, text: `~ ${path}: ${was} → ${is}` }];
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
