import Big from "big.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  allocate,
  ceiling,
  compare,
  decimal,
  divide,
  excess,
  floor,
  formatDecimal,
  formatUsd,
  fraction,
  jsonAmount,
  multiply,
  parseDecimal,
  round,
  roundTogether,
  subtract,
} from "../../src/kernel/money.ts";

// big.js is the oracle: another author's decimal arithmetic. Its RM 1 is half away from zero.
Big.DP = 60;
Big.RM = 1;
Big.PE = 1000;
Big.NE = -1000;

const decimalText = fc
  .tuple(fc.bigInt({ min: 0n, max: 9_999_999_999_999_999n }), fc.option(fc.stringMatching(/^\d{1,18}$/), { nil: undefined }))
  .map(([whole, decimals]) => (decimals === undefined ? `${whole}` : `${whole}.${decimals}`));
const quantity = fc.bigInt({ min: 0n, max: 9_007_199_254_740_991n });

describe("decimals", () => {
  test.each([
    ["0", 0n, 1n],
    ["0.15", 15n, 100n],
    ["12", 12n, 1n],
    ["007.50", 750n, 100n],
    ["0.000000000000000001", 1n, 1_000_000_000_000_000_000n],
    ["9007199254740993", 9_007_199_254_740_993n, 1n],
  ])("%s is read exactly", (text, numerator, denominator) => {
    expect(compare(decimal(text), fraction(numerator, denominator))).toBe(0);
  });

  test.each([
    "",
    " 1",
    "1 ",
    "-1",
    "+1",
    "1.",
    ".5",
    "1e3",
    "0x10",
    "1,5",
    "١",
    "NaN",
    "12345678901234567",
    "0.1234567890123456789",
    "1\n",
  ])("%j is refused", (text) => {
    expect(parseDecimal(text)).toBeNull();
    expect(() => decimal(text)).toThrow(RangeError);
  });

  test.each([
    [fraction(15n, 100n), "0.15"],
    [fraction(-15n, 100n), "-0.15"],
    [fraction(7n), "7"],
    [fraction(1n, 8n), "0.125"],
    [fraction(10n, 4n), "2.5"],
    [fraction(0n, 7n), "0"],
    [fraction(3n, 300n), "0.01"],
  ])("%o is written %s", (value, text) => {
    expect(formatDecimal(value)).toBe(text);
  });

  test("a third has no decimal", () => {
    expect(() => formatDecimal(fraction(1n, 3n))).toThrow(RangeError);
  });

  test("what is written is what was read", () => {
    fc.assert(
      fc.property(decimalText, (text) => {
        expect(formatDecimal(decimal(text))).toBe(new Big(text).toFixed());
      }),
    );
  });
});

describe("rounding", () => {
  test.each([
    [1n, 2n, 1n],
    [-1n, 2n, -1n],
    [3n, 2n, 2n],
    [5n, 2n, 3n],
    [-5n, 2n, -3n],
    [49n, 100n, 0n],
    [-49n, 100n, 0n],
    [51n, 100n, 1n],
    [1n, 3n, 0n],
    [2n, 3n, 1n],
    [0n, 9n, 0n],
    [9_007_199_254_740_993n, 2n, 4_503_599_627_370_497n],
  ])("%i / %i is %i, half away from zero", (numerator, denominator, expected) => {
    expect(round(fraction(numerator, denominator))).toBe(expected);
  });

  test.each([
    [7n, 2n, 3n, 4n],
    [-7n, 2n, -4n, -3n],
    [6n, 2n, 3n, 3n],
    [-1n, 3n, -1n, 0n],
    [0n, 5n, 0n, 0n],
  ])("%i / %i lies between %i and %i", (numerator, denominator, below, above) => {
    expect(floor(fraction(numerator, denominator))).toBe(below);
    expect(ceiling(fraction(numerator, denominator))).toBe(above);
  });

  test("quantity × price ÷ unit size agrees with big.js on 10,000 cases", () => {
    const unit = fc.constantFrom(1n, 10n, 1000n, 1_000_000n, 1_000_000_000n);
    fc.assert(
      fc.property(quantity, decimalText, unit, (q, price, unitSize) => {
        const exact = divide(multiply(fraction(q), decimal(price)), fraction(unitSize));
        expect(round(exact).toString()).toBe(new Big(q.toString()).times(price).div(unitSize.toString()).round(0, 1).toFixed());
      }),
      { numRuns: 10_000 },
    );
  });

  test("sums and differences agree with big.js", () => {
    fc.assert(
      fc.property(decimalText, decimalText, (a, b) => {
        expect(formatDecimal(add(decimal(a), decimal(b)))).toBe(new Big(a).plus(b).toFixed());
        expect(formatDecimal(subtract(decimal(a), decimal(b)))).toBe(new Big(a).minus(b).toFixed());
        expect(Math.sign(compare(decimal(a), decimal(b)))).toBe(new Big(a).cmp(b));
      }),
    );
  });

  test("what lies above a bound is never negative", () => {
    expect(formatDecimal(excess(decimal("5.5"), decimal("5")))).toBe("0.5");
    expect(formatDecimal(excess(decimal("5"), decimal("5")))).toBe("0");
    expect(formatDecimal(excess(decimal("4"), decimal("5")))).toBe("0");
  });
});

describe("largest remainder", () => {
  test.each([
    [100n, [1n, 1n, 1n], [34n, 33n, 33n]],
    [1n, [1n, 1n], [1n, 0n]],
    [-100n, [1n, 1n, 1n], [-34n, -33n, -33n]],
    [10n, [0n, 3n, 7n], [0n, 3n, 7n]],
    [5n, [1n, 2n], [2n, 3n]], // 1.67 and 3.33: the larger remainder takes the unit
    [0n, [4n, 5n], [0n, 0n]],
  ])("%i over %o is %o", (total, weights, shares) => {
    expect(allocate(total, weights)).toEqual(shares);
  });

  test.each([[[]], [[0n, 0n]], [[1n, -1n, 5n]]])("weights %o are refused", (weights) => {
    expect(() => allocate(10n, weights)).toThrow(RangeError);
  });

  test("nothing is lost and no share is off by a whole unit", () => {
    const weights = fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), weights, (total, given) => {
        fc.pre(given.some((w) => w > 0n));
        const sum = given.reduce((a, b) => a + b, 0n);
        const shares = allocate(total, given);
        expect(shares.reduce((a, b) => a + b, 0n)).toBe(total);
        for (const [index, share] of shares.entries()) {
          const off = share * sum - total * (given[index] ?? 0n);
          expect(off > -sum && off < sum).toBe(true);
        }
      }),
    );
  });

  test("rounded parts add up to the rounded sum", () => {
    expect(roundTogether([fraction(1n, 2n), fraction(1n, 2n)])).toEqual([1n, 0n]);
    expect(roundTogether([fraction(1n, 3n), fraction(1n, 3n), fraction(1n, 3n)])).toEqual([1n, 0n, 0n]);
    expect(roundTogether([fraction(2n, 5n), fraction(2n, 5n), fraction(2n, 5n)])).toEqual([1n, 0n, 0n]); // 1.2 → 1
    expect(roundTogether([fraction(14n, 10n), fraction(16n, 10n)])).toEqual([1n, 2n]);
    expect(roundTogether([])).toEqual([]);
  });
});

describe("amounts for people and for JSON", () => {
  test.each([
    [0n, "0.00"],
    [1n, "0.000001"],
    [10n, "0.00001"],
    [150_000n, "0.15"],
    [5_000_000n, "5.00"],
    [5_100_000n, "5.10"],
    [5_123_000n, "5.123"],
    [-1_250_000n, "-1.25"],
    [1_000_000_000_000_000n, "1000000000.00"],
  ])("%i micro-dollars are $%s", (micros, text) => {
    expect(formatUsd(micros)).toBe(text);
  });

  test("JSON carries an amount exactly or not at all", () => {
    expect(jsonAmount(9_007_199_254_740_991n)).toBe(9_007_199_254_740_991);
    expect(() => jsonAmount(9_007_199_254_740_992n)).toThrow(/beyond/);
    expect(() => jsonAmount(-9_007_199_254_740_992n)).toThrow(/beyond/);
  });
});
