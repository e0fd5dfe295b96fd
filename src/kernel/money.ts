import { validationFailed } from "./errors.ts";

/**
 * Exact money and rates: fractions of bigints, so nothing is rounded before the one rounding of a line.
 * A float near a rate costs real money: 0.1 + 0.2 is off by 4e-17, and a sum of 10^9 such terms by a cent.
 */
export interface Fraction {
  readonly numerator: bigint;
  /** Always above 0. */
  readonly denominator: bigint;
}

/**
 * A non-negative decimal in plain notation: "0.15", "12", no sign, no exponent, no leading or trailing dot. Its length is bounded, since
 * hostile input is read too: 16 digits hold 2^53 − 1, 18 decimals a rate of 10^-18.
 */
export const DECIMAL_PATTERN = /^\d{1,16}(?:\.\d{1,18})?$/;

export const ZERO: Fraction = { numerator: 0n, denominator: 1n };

/** `numerator / denominator` as a fraction. The denominator must be above 0. */
export const fraction = (numerator: bigint, denominator = 1n): Fraction => {
  if (denominator <= 0n) throw new RangeError("a fraction needs a denominator above 0");
  return { numerator, denominator };
};

/** Reads a decimal of `DECIMAL_PATTERN`; null for anything else. */
export function parseDecimal(text: string): Fraction | null {
  if (!DECIMAL_PATTERN.test(text)) return null;
  const [whole = "", decimals = ""] = text.split(".");
  return { numerator: BigInt(whole + decimals), denominator: 10n ** BigInt(decimals.length) };
}

/** A decimal that was validated before: throws a RangeError where `parseDecimal` gives null. */
export function decimal(text: string): Fraction {
  const parsed = parseDecimal(text);
  if (!parsed) throw new RangeError(`not a decimal: ${text.slice(0, 40)}`);
  return parsed;
}

export const add = (a: Fraction, b: Fraction): Fraction =>
  a.denominator === b.denominator
    ? { numerator: a.numerator + b.numerator, denominator: a.denominator }
    : reduced(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);

export const subtract = (a: Fraction, b: Fraction): Fraction => add(a, { numerator: -b.numerator, denominator: b.denominator });

export const multiply = (a: Fraction, b: Fraction): Fraction => reduced(a.numerator * b.numerator, a.denominator * b.denominator);

/** `a / b`; `b` must be above 0, as every unit size and period is. */
export const divide = (a: Fraction, b: Fraction): Fraction => {
  if (b.numerator <= 0n) throw new RangeError("division by a fraction that is not above 0");
  return reduced(a.numerator * b.denominator, a.denominator * b.numerator);
};

/** Below 0, 0 or above 0, as `a` is less than, equal to or greater than `b`. */
export const compare = (a: Fraction, b: Fraction): number => {
  const left = a.numerator * b.denominator;
  const right = b.numerator * a.denominator;
  return left < right ? -1 : left > right ? 1 : 0;
};

export const least = (a: Fraction, b: Fraction): Fraction => (compare(a, b) <= 0 ? a : b);

/** What of `a` lies above `b`: `a − b`, or 0. */
export const excess = (a: Fraction, b: Fraction): Fraction => (compare(a, b) > 0 ? subtract(a, b) : ZERO);

/** The greatest integer at or below; −0.5 gives −1, where bigint division alone would give 0. */
export function floor({ numerator, denominator }: Fraction): bigint {
  const cut = numerator / denominator;
  return numerator < 0n && cut * denominator !== numerator ? cut - 1n : cut;
}

export const ceiling = ({ numerator, denominator }: Fraction): bigint => -floor({ numerator: -numerator, denominator });

/** The one rounding of a line: to the nearest integer, half away from zero (0.5 → 1, −0.5 → −1). */
export function round({ numerator, denominator }: Fraction): bigint {
  const magnitude = numerator < 0n ? -numerator : numerator;
  const rounded = (2n * magnitude + denominator) / (2n * denominator);
  return numerator < 0n ? -rounded : rounded;
}

/**
 * Integers that stand for the exact `parts` and add up to their rounded sum: each is cut to its floor, and the units left
 * over go to the largest remainders, the earlier part first where two are equal. No part moves by a whole unit.
 */
export function roundTogether(parts: readonly Fraction[]): bigint[] {
  const total = round(parts.reduce(add, ZERO));
  const shares = parts.map((part, index) => {
    const whole = floor(part);
    return { index, whole, remainder: subtract(part, fraction(whole)) };
  });
  let left = total - shares.reduce((sum, share) => sum + share.whole, 0n);
  const result = shares.map((share) => share.whole);
  for (const share of [...shares].sort((a, b) => compare(b.remainder, a.remainder) || a.index - b.index)) {
    if (left <= 0n) break;
    result[share.index] = share.whole + 1n;
    left -= 1n;
  }
  return result;
}

/** Splits `total` in proportion to `weights` (not negative, not all 0) by largest remainder; nothing is lost. */
export function allocate(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n);
  if (sum <= 0n || weights.some((w) => w < 0n)) throw new RangeError("weights must not be negative, and not all 0");
  if (total < 0n) return allocate(-total, weights).map((share) => -share);
  return roundTogether(weights.map((weight) => fraction(total * weight, sum)));
}

/** The exact decimal of a fraction whose denominator divides a power of ten: "0.15", "12". Throws a RangeError for a third. */
export function formatDecimal(value: Fraction): string {
  const text = finiteDecimal(reduced(value.numerator, value.denominator));
  if (text === null) throw new RangeError("the fraction has no finite decimal");
  return text;
}

/** The exact decimal, or "1/3" where no decimal holds the value, so that whoever adds up again loses nothing. */
export function formatExact(value: Fraction): string {
  const lowest = reduced(value.numerator, value.denominator);
  return finiteDecimal(lowest) ?? `${lowest.numerator}/${lowest.denominator}`;
}

/** Null where the denominator (of lowest terms) has a factor besides 2 and 5. */
function finiteDecimal({ numerator, denominator }: Fraction): string | null {
  const decimals = decimalsOf(denominator);
  if (decimals === null) return null;
  const digits = ((magnitudeOf(numerator) * 10n ** BigInt(decimals)) / denominator).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  return `${numerator < 0n ? "-" : ""}${whole}${decimals === 0 ? "" : `.${digits.slice(-decimals)}`}`;
}

function decimalsOf(denominator: bigint): number | null {
  let rest = denominator;
  const count = (factor: bigint): number => {
    let times = 0;
    for (; rest % factor === 0n && times <= DECIMAL_DIGITS_FORMATTED_MAX; times += 1) rest /= factor;
    return times;
  };
  const decimals = Math.max(count(5n), count(2n));
  return rest === 1n && decimals <= DECIMAL_DIGITS_FORMATTED_MAX ? decimals : null;
}

/** Reads what `formatExact` writes: "12", "-0.15", "1/3". Throws a RangeError for anything else. */
export function parseExact(text: string): Fraction {
  const [, sign = "", numerator = "", denominator] = /^(-?)([\d.]+)(?:\/([1-9]\d*))?$/.exec(text) ?? [];
  const [, whole = "", decimals = ""] = /^(\d+)(?:\.(\d+))?$/.exec(numerator) ?? [];
  if (whole === "" || (denominator !== undefined && decimals !== "")) throw new RangeError(`not an exact number: ${text.slice(0, 40)}`);
  const value = fraction(BigInt(whole + decimals), denominator === undefined ? 10n ** BigInt(decimals.length) : BigInt(denominator));
  return sign === "" ? value : { numerator: -value.numerator, denominator: value.denominator };
}

/** Micro-dollars for people: "5.00", "0.000001", "-1.25": at least two decimals, at most six. */
export function formatUsd(micros: bigint): string {
  const digits = magnitudeOf(micros).toString().padStart(7, "0");
  const decimals = digits.slice(-6).replace(/0{1,4}$/, "");
  return `${micros < 0n ? "-" : ""}${digits.slice(0, -6)}.${decimals}`;
}

/** An amount as a JSON number. Refuses what JSON would carry inexactly: above 2^53 − 1 micro-dollars (9 billion dollars). */
export function jsonAmount(micros: bigint, path = ""): number {
  const amount = Number(micros);
  if (!Number.isSafeInteger(amount)) {
    throw validationFailed([{ path, message: "the amount is beyond 9,007,199,254,740,991 micro-dollars; rate a smaller quantity" }]);
  }
  return amount;
}

// A price of 18 decimals over a unit size of 2^53 has at most 18 + 53 decimals.
const DECIMAL_DIGITS_FORMATTED_MAX = 80;

const magnitudeOf = (n: bigint): bigint => (n < 0n ? -n : n);

/** In lowest terms: sums over many tiers would otherwise grow their digits at every step. */
function reduced(numerator: bigint, denominator: bigint): Fraction {
  let a = magnitudeOf(numerator);
  let b = denominator;
  while (b !== 0n) [a, b] = [b, a % b];
  return a <= 1n ? { numerator, denominator } : { numerator: numerator / a, denominator: denominator / a };
}
