import { decimal, divide, fraction, least, multiply, round } from "../kernel/money.ts";

/** Taken off an invoice before tax: a percentage, or an amount. */
export type Discount = { name: string; until: number | null } & ({ percent: string } | { amountUsdMicros: number });

export interface AppliedDiscount {
  discount: Discount;
  /** What it was taken off. */
  baseUsdMicros: bigint;
  /** Zero or below. */
  amountUsdMicros: bigint;
}

const HUNDRED = fraction(100n);

/** The discounts that hold for a billing month that ends at `end`: those without an end, or with one not before. Epoch ms. */
export const discountsAt = (discounts: readonly Discount[], end: number): Discount[] =>
  discounts.filter(({ until }) => until === null || end <= until);

/**
 * Takes discounts off `subtotalUsdMicros`, in order, each off what those before it left, never below zero; each is rounded once. Nothing
 * is taken off a subtotal that is a credit already.
 */
export function applyDiscounts(subtotalUsdMicros: bigint, discounts: readonly Discount[]): AppliedDiscount[] {
  let left = subtotalUsdMicros;
  const applied: AppliedDiscount[] = [];
  for (const discount of discounts) {
    if (left <= 0n) break;
    const off = amountOf(discount, left);
    applied.push({ discount, baseUsdMicros: left, amountUsdMicros: -off });
    left -= off;
  }
  return applied;
}

function amountOf(discount: Discount, base: bigint): bigint {
  if ("amountUsdMicros" in discount) return BigInt(discount.amountUsdMicros) < base ? BigInt(discount.amountUsdMicros) : base;
  const percent = least(decimal(discount.percent), HUNDRED);
  return round(multiply(fraction(base), divide(percent, HUNDRED)));
}
