import type { Charge, Meter } from "../catalog/catalog.ts";
import { decimal } from "../kernel/money.ts";

/** A price as one number, and what it buys in the meter's base unit. */
export interface QuotedPrice {
  size: number;
  /** Null where the plan has no price, or none that one number could say (tiers, a percentage). */
  price: number | null;
}

/** Price and size as whole numbers: "0.15" per 1 is told as 15 per 100, since a fraction in JSON would be a float. */
export function quotedPrice(meter: Meter, charge: Charge | null): QuotedPrice {
  const unpriced: QuotedPrice = { size: meter.billingUnit?.size ?? 1, price: null };
  if (charge?.model !== "per_unit" && charge?.model !== "package") return unpriced;
  const size = charge.model === "package" ? charge.packageSize : charge.unitSize;
  const { numerator, denominator } = decimal(charge.priceUsdMicros);
  if (numerator % denominator === 0n) return { size, price: safeNumber(numerator / denominator) };
  // A package is sold whole: a package of another size would round differently.
  const grown = safeNumber(BigInt(size) * denominator);
  return charge.model === "package" || grown === null ? { size, price: null } : { size: grown, price: safeNumber(numerator) };
}

/** Null where a JSON number would be inexact. */
export const safeNumber = (n: bigint): number | null => (Number.isSafeInteger(Number(n)) ? Number(n) : null);
