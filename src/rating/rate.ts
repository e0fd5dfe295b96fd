import type { Fraction } from "../kernel/money.ts";
import {
  add,
  ceiling,
  compare,
  decimal,
  divide,
  excess,
  formatDecimal,
  formatExact,
  fraction,
  least,
  multiply,
  roundTogether,
  ZERO,
} from "../kernel/money.ts";
import type { Charge, Tier } from "../catalog/charge.ts";

/** One part of a rated line: what quantity met which price. The amounts of a line's tiers add up to its amount exactly. */
export interface RatedTier {
  /** The tier holds quantities above `from` … */
  from: string;
  /** … up to and including `upTo`; null where it has no end. */
  upTo: string | null;
  /** What of the quantity lies in the tier, in the base unit. */
  quantity: string;
  /** What the price buys, in the base unit; a percentage has 1. */
  unitSize: number;
  /** Units charged: a fraction where the price is prorated, whole packages for a package; in micro-dollars for a percentage. */
  units: string;
  priceUsdMicros: string;
  flatUsdMicros: string;
  amountUsdMicros: bigint;
}

export interface Rated {
  /** The line's amount: rounded once, half away from zero. */
  amountUsdMicros: bigint;
  /** What is left of the quantity after what the charge includes, as a decimal string ("1/3" where no decimal holds it). */
  billable: string;
  /** Empty when nothing is billable. */
  tiers: RatedTier[];
}

/** What is rated: an integer, a decimal string or an exact fraction, not negative. */
export type Quantity = bigint | string | Fraction;

/** A part before rounding: `units × price + flat`. */
interface Part {
  from: Fraction;
  upTo: Fraction | null;
  quantity: Fraction;
  unitSize: number;
  units: Fraction;
  price: Fraction;
  flat: Fraction;
}

/**
 * The price of `quantity` under `charge`. Pure and exact: the parts are summed as fractions, the sum is rounded once, and the residue
 * is shared out among the parts by largest remainder. A quantity of 0, or one that is all included, costs nothing: no flat or fixed fee.
 * `quantity` is a non-negative integer, a decimal string or a fraction (a month's average is rarely whole); throws a RangeError for
 * anything else.
 */
export function rate(charge: Charge, quantity: Quantity): Rated {
  const total = quantityOf(quantity);
  const billable = excess(total, includedIn(charge));
  const parts = billable.numerator === 0n ? [] : partsOf(charge, total, billable);
  const amounts = roundTogether(parts.map((part) => add(multiply(part.units, part.price), part.flat)));
  return {
    amountUsdMicros: amounts.reduce((sum, amount) => sum + amount, 0n),
    billable: formatExact(billable),
    tiers: parts.map((part, index) => shown(part, amounts[index] ?? 0n)),
  };
}

/** What the charge itself takes off before it prices, in the quantity's unit. */
export function includedIn(charge: Charge): Fraction {
  if (charge.model === "percentage") return decimal(charge.includedUsdMicros ?? "0");
  return fraction(BigInt("included" in charge ? (charge.included ?? 0) : 0));
}

function partsOf(charge: Charge, total: Fraction, billable: Fraction): Part[] {
  const rest = { from: includedIn(charge), upTo: null, quantity: billable };
  switch (charge.model) {
    case "per_unit": {
      const { unitSize } = charge;
      return [{ ...rest, unitSize, units: inUnits(billable, unitSize), price: decimal(charge.priceUsdMicros), flat: ZERO }];
    }
    case "package": {
      const unitSize = charge.packageSize;
      const units = fraction(ceiling(inUnits(billable, unitSize)));
      return [{ ...rest, unitSize, units, price: decimal(charge.priceUsdMicros), flat: ZERO }];
    }
    case "percentage": {
      const price = divide(decimal(charge.percent), fraction(100n));
      return [{ ...rest, unitSize: 1, units: billable, price, flat: decimal(charge.fixedUsdMicros ?? "0") }];
    }
    case "graduated":
      return graduatedParts(charge.tiers, charge.unitSize ?? 1, total);
    case "volume":
      return volumePart(charge.tiers, charge.unitSize ?? 1, total);
  }
}

/** Each tier prices what lies inside it; its flat fee falls due as soon as the quantity passes the tier before. */
function graduatedParts(tiers: readonly Tier[], unitSize: number, total: Fraction): Part[] {
  const parts: Part[] = [];
  let from = ZERO;
  for (const tier of tiers) {
    if (compare(total, from) <= 0) break;
    const upTo = boundOf(tier);
    const quantity = excess(upTo ? least(total, upTo) : total, from);
    parts.push(tierPart(tier, { from, upTo, quantity, unitSize }));
    if (!upTo) break;
    from = upTo;
  }
  return parts;
}

/** One tier prices the whole quantity: the first one that holds it. A quantity exactly at `upTo` is still inside. */
function volumePart(tiers: readonly Tier[], unitSize: number, total: Fraction): Part[] {
  let from = ZERO;
  for (const tier of tiers) {
    const upTo = boundOf(tier);
    if (!upTo || compare(total, upTo) <= 0) return [tierPart(tier, { from, upTo, quantity: total, unitSize })];
    from = upTo;
  }
  throw new RangeError("the last tier has an end: the charge was not validated");
}

function tierPart(tier: Tier, part: Pick<Part, "from" | "upTo" | "quantity" | "unitSize">): Part {
  const units = inUnits(part.quantity, part.unitSize);
  return { ...part, units, price: decimal(tier.priceUsdMicros), flat: decimal(tier.flatUsdMicros ?? "0") };
}

const boundOf = (tier: Tier): Fraction | null => (tier.upTo === null ? null : fraction(BigInt(tier.upTo)));

const inUnits = (quantity: Fraction, unitSize: number): Fraction => divide(quantity, fraction(BigInt(unitSize)));

/** The quantity as a fraction; throws a RangeError where it is none or negative. */
export function quantityOf(quantity: Quantity): Fraction {
  if (typeof quantity === "string") return decimal(quantity);
  const exact = typeof quantity === "bigint" ? fraction(quantity) : quantity;
  if (exact.numerator < 0n) throw new RangeError("a quantity is not negative; a correction is rated as its own line");
  return exact;
}

function shown(part: Part, amountUsdMicros: bigint): RatedTier {
  return {
    from: formatDecimal(part.from),
    upTo: part.upTo && formatDecimal(part.upTo),
    quantity: formatExact(part.quantity),
    unitSize: part.unitSize,
    units: formatExact(part.units),
    priceUsdMicros: formatDecimal(part.price),
    flatUsdMicros: formatDecimal(part.flat),
    amountUsdMicros,
  };
}
