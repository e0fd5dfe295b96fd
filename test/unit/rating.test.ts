import { describe, expect, test } from "vitest";
import type { Charge } from "../../src/catalog/charge.ts";
import { chargeSchema } from "../../src/catalog/charge.ts";
import { rate } from "../../src/rating/rate.ts";
import { ratedDocument } from "../../src/rating/rated-document.ts";

type Case = [name: string, charge: Charge, quantity: bigint | string, micros: bigint];

const requests: Charge = { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "150000", included: 1_000_000 };
const duration: Charge = { model: "per_unit", unitSize: 1_000_000_000, priceUsdMicros: "12500000", included: 400_000_000 };
const rowsRead: Charge = { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "1000", included: 25_000_000_000 };
const storage: Charge = { model: "per_unit", unitSize: 1_000_000_000, priceUsdMicros: "200000", included: 5_000_000_000 };
const each = (priceUsdMicros: string): Charge => ({ model: "per_unit", unitSize: 1, priceUsdMicros });

const perUnit: Case[] = [
  ["nothing used", requests, 0n, 0n],
  ["all included", requests, 999_999n, 0n],
  ["exactly what is included", requests, 1_000_000n, 0n],
  ["1 over: 150,000 / 1,000,000 = 0.15 → 0", requests, 1_000_001n, 0n],
  ["3 over: 0.45 → 0", requests, 1_000_003n, 0n],
  ["4 over: 0.6 → 1", requests, 1_000_004n, 1n],
  ["10 over: 1.5 → 2, half away from zero", requests, 1_000_010n, 2n],
  ["500,000 over: half of $0.15", requests, 1_500_000n, 75_000n],
  ["a million over", requests, 2_000_000n, 150_000n],
  ["2^53 − 1: 9,007,199,253,740,991 over × 0.15 = 1,351,079,888,061,148.65", requests, 9_007_199_254_740_991n, 1_351_079_888_061_149n],
  ["duration: 1 M GB-s over, in GB-ms", duration, 1_400_000_000n, 12_500_000n],
  ["duration: 128 GB-ms over, one second: 128 × 0.0125 = 1.6 → 2", duration, 400_000_128n, 2n],
  ["duration: 40 GB-ms over: 0.5 → 1", duration, 400_000_040n, 1n],
  ["duration: 39 GB-ms over: 0.4875 → 0", duration, 400_000_039n, 0n],
  ["rows read: 500 over: 0.5 → 1", rowsRead, 25_000_000_500n, 1n],
  ["rows read: 499 over: 0.499 → 0", rowsRead, 25_000_000_499n, 0n],
  ["80 GB for 10 days and 200 GB for 20 of 30: 160 GB on average, 155 × $0.20", storage, "160000000000", 31_000_000n],
  ["an average that is no whole byte: 2,500.5 / 10^9 × 200,000 = 0.5001 → 1", storage, "5000002500.5", 1n],
  ["an average that is no whole byte: 2,499.5 / 10^9 × 200,000 = 0.4999 → 0", storage, "5000002499.5", 0n],
  ["a price of half a micro-dollar, once", each("0.5"), 1n, 1n],
  ["a price of half a micro-dollar, three times: 1.5 → 2", each("0.5"), 3n, 2n],
  ["0.1 + 0.2 as a float would be 0.30000000000000004", each("0.1"), 5n, 1n],
  ["a price of 10^-18 over 5 × 10^15: 0.005 → 0", each("0.000000000000000001"), 5_000_000_000_000_000n, 0n],
  ["free transfer", { model: "per_unit", unitSize: 1_000_000_000, priceUsdMicros: "0" }, 5_000_000_000n, 0n],
  ["a unit size of 3: 1/3 × 100 = 33.33", { model: "per_unit", unitSize: 3, priceUsdMicros: "100" }, 1n, 33n],
  ["a unit size of 3: 2/3 × 100 = 66.67", { model: "per_unit", unitSize: 3, priceUsdMicros: "100" }, 2n, 67n],
];

// To 10: 5 each; to 20: 3 each and 100 once; above: 1 each and 50 once.
const tiers = [
  { upTo: 10, priceUsdMicros: "5" },
  { upTo: 20, priceUsdMicros: "3", flatUsdMicros: "100" },
  { upTo: null, priceUsdMicros: "1", flatUsdMicros: "50" },
];
const graduated: Charge = { model: "graduated", tiers };
const volume: Charge = { model: "volume", tiers };

const tiered: Case[] = [
  ["graduated, nothing: no flat fee either", graduated, 0n, 0n],
  ["graduated, inside the first: 7 × 5", graduated, 7n, 35n],
  ["graduated, exactly at the first bound: 10 × 5, the second not entered", graduated, 10n, 50n],
  ["graduated, one past: 50 + 100 + 1 × 3", graduated, 11n, 153n],
  ["graduated, half past: 50 + 100 + 1.5", graduated, "10.5", 152n],
  ["graduated, exactly at the second bound: 50 + 100 + 30", graduated, 20n, 180n],
  ["graduated, in the last: 180 + 50 + 5 × 1", graduated, 25n, 235n],
  [
    "graduated, unit size 10: 1.5 × 5 = 7.5 → 8",
    { model: "graduated", unitSize: 10, tiers: [{ upTo: null, priceUsdMicros: "5" }] },
    15n,
    8n,
  ],
  [
    "graduated, two halves make one: 0.5 + 0.5 is rounded once, not 1 + 1",
    {
      model: "graduated",
      tiers: [
        { upTo: 1, priceUsdMicros: "0.5" },
        { upTo: null, priceUsdMicros: "0.5" },
      ],
    },
    2n,
    1n,
  ],
  ["volume, nothing", volume, 0n, 0n],
  ["volume, inside the first: 7 × 5", volume, 7n, 35n],
  ["volume, exactly at the first bound: still 10 × 5", volume, 10n, 50n],
  ["volume, one past: all 11 × 3 + 100", volume, 11n, 133n],
  ["volume, a fraction past: 10.5 × 3 + 100 = 131.5", volume, "10.5", 132n],
  ["volume, exactly at the second bound: 20 × 3 + 100", volume, 20n, 160n],
  ["volume, in the last: 21 × 1 + 50", volume, 21n, 71n],
  ["volume, unit size 1,000: 2.5 × 3 + 0", { model: "volume", unitSize: 1000, tiers: [{ upTo: null, priceUsdMicros: "3" }] }, 2500n, 8n],
];

const packages: Charge = { model: "package", packageSize: 100, priceUsdMicros: "7" };
const packagesAfter: Charge = { ...packages, included: 50 };
const percentage: Charge = { model: "percentage", percent: "2.9", fixedUsdMicros: "300000" };

const others: Case[] = [
  ["package, nothing", packages, 0n, 0n],
  ["package, one unit buys a whole one", packages, 1n, 7n],
  ["package, exactly one", packages, 100n, 7n],
  ["package, one past", packages, 101n, 14n],
  ["package, a fraction past", packages, "100.000001", 14n],
  ["package, all included", packagesAfter, 50n, 0n],
  ["package, one past what is included", packagesAfter, 51n, 7n],
  ["package, 150 less 50 is one", packagesAfter, 150n, 7n],
  ["package, 151 less 50 is two", packagesAfter, 151n, 14n],
  ["package, a price below a micro-dollar: 3 × 0.5 = 1.5 → 2", { model: "package", packageSize: 1, priceUsdMicros: "0.5" }, 3n, 2n],
  ["percentage, 2.9 % of $100 and $0.30", percentage, 100_000_000n, 3_200_000n],
  ["percentage, of nothing: no fixed fee", percentage, 0n, 0n],
  ["percentage, 0.5 % of 100 = 0.5 → 1", { model: "percentage", percent: "0.5" }, 100n, 1n],
  ["percentage, 0.5 % of 99 = 0.495 → 0", { model: "percentage", percent: "0.5" }, 99n, 0n],
  [
    "percentage, the first $10 free: 10 % of $5",
    { model: "percentage", percent: "10", includedUsdMicros: "10000000" },
    15_000_000n,
    500_000n,
  ],
  [
    "percentage, all of it free: no fixed fee",
    { model: "percentage", percent: "10", fixedUsdMicros: "5", includedUsdMicros: "10" },
    10n,
    0n,
  ],
];

describe.each([
  ["per unit", perUnit],
  ["tiers", tiered],
  ["packages and percentages", others],
])("%s", (_, cases) => {
  test.each(cases)("%s", (_name, charge, quantity, micros) => {
    expect(chargeSchema.parse(charge)).toEqual(charge);
    const rated = rate(charge, quantity);
    expect(rated.amountUsdMicros).toBe(micros);
    expect(rated.tiers.reduce((sum, tier) => sum + tier.amountUsdMicros, 0n)).toBe(micros);
  });
});

describe("a line explains itself", () => {
  test("graduated: each tier with its bounds, quantity, price and amount", () => {
    expect(rate(graduated, 25n)).toEqual({
      amountUsdMicros: 235n,
      billable: "25",
      tiers: [
        { from: "0", upTo: "10", quantity: "10", unitSize: 1, units: "10", priceUsdMicros: "5", flatUsdMicros: "0", amountUsdMicros: 50n },
        {
          from: "10",
          upTo: "20",
          quantity: "10",
          unitSize: 1,
          units: "10",
          priceUsdMicros: "3",
          flatUsdMicros: "100",
          amountUsdMicros: 130n,
        },
        { from: "20", upTo: null, quantity: "5", unitSize: 1, units: "5", priceUsdMicros: "1", flatUsdMicros: "50", amountUsdMicros: 55n },
      ],
    });
  });

  test("per unit: what is billable, in units of the price", () => {
    expect(rate(requests, 1_500_000n)).toEqual({
      amountUsdMicros: 75_000n,
      billable: "500000",
      tiers: [
        {
          from: "1000000",
          upTo: null,
          quantity: "500000",
          unitSize: 1_000_000,
          units: "0.5",
          priceUsdMicros: "150000",
          flatUsdMicros: "0",
          amountUsdMicros: 75_000n,
        },
      ],
    });
  });

  test("a third of a unit is told as one", () => {
    expect(rate({ model: "per_unit", unitSize: 3, priceUsdMicros: "100" }, 1n).tiers[0]?.units).toBe("1/3");
  });

  test("the residue of the rounding goes to the largest remainder", () => {
    // 1 × 0.4 + 1 × 0.7 + 1 × 0.6 = 1.7 → 2: floors 0, 0, 0; the two units go to 0.7 and 0.6.
    const charge: Charge = {
      model: "graduated",
      tiers: [
        { upTo: 1, priceUsdMicros: "0.4" },
        { upTo: 2, priceUsdMicros: "0.7" },
        { upTo: null, priceUsdMicros: "0.6" },
      ],
    };
    expect(rate(charge, 3n).tiers.map((tier) => tier.amountUsdMicros)).toEqual([0n, 1n, 1n]);
  });
});

describe("as JSON", () => {
  test("whole quantities are numbers, prices are strings", () => {
    expect(ratedDocument(graduated, 11)).toEqual({
      amountUsdMicros: 153,
      billable: 11,
      tiers: [
        { from: 0, upTo: 10, quantity: 10, unitSize: 1, units: 10, priceUsdMicros: "5", flatUsdMicros: "0", amountUsdMicros: 50 },
        { from: 10, upTo: 20, quantity: 1, unitSize: 1, units: 1, priceUsdMicros: "3", flatUsdMicros: "100", amountUsdMicros: 103 },
      ],
    });
  });

  test("what a double would bend is a string", () => {
    const charge: Charge = { model: "per_unit", unitSize: 3, priceUsdMicros: "1" };
    expect(ratedDocument(charge, "0.1")).toMatchObject({ billable: "0.1", tiers: [{ units: "1/30", upTo: null }] });
    expect(ratedDocument(charge, "9007199254740993")).toMatchObject({ billable: "9007199254740993" });
  });

  test("an amount past 2^53 − 1 is refused, not rounded", () => {
    const charge: Charge = { model: "per_unit", unitSize: 1, priceUsdMicros: "9007199254740991" };
    expect(ratedDocument(charge, 1).amountUsdMicros).toBe(9_007_199_254_740_991);
    expect(() => ratedDocument(charge, 2)).toThrow(/beyond/);
  });
});

describe("what is no charge or no quantity", () => {
  const oneTier = [{ upTo: null, priceUsdMicros: "1" }];
  test.each([
    ["an unknown model", { model: "free" }],
    ["a price as a number", { model: "per_unit", unitSize: 1, priceUsdMicros: 0.15 }],
    ["a negative price", { model: "per_unit", unitSize: 1, priceUsdMicros: "-1" }],
    ["an exponent", { model: "per_unit", unitSize: 1, priceUsdMicros: "1e6" }],
    ["a unit size of 0", { model: "per_unit", unitSize: 0, priceUsdMicros: "1" }],
    ["a unit size past 2^53 − 1", { model: "per_unit", unitSize: 9_007_199_254_740_992, priceUsdMicros: "1" }],
    ["half a unit included", { model: "per_unit", unitSize: 1, priceUsdMicros: "1", included: 0.5 }],
    ["an unknown field", { model: "per_unit", unitSize: 1, priceUsdMicros: "1", minimum: 5 }],
    ["no tiers", { model: "volume", tiers: [] }],
    ["tiers without an end", { model: "volume", tiers: [{ upTo: 10, priceUsdMicros: "1" }] }],
    ["tiers that go on behind the end", { model: "graduated", tiers: [...oneTier, ...oneTier] }],
    [
      "tiers that do not rise",
      { model: "graduated", tiers: [{ upTo: 5, priceUsdMicros: "1" }, { upTo: 5, priceUsdMicros: "1" }, ...oneTier] },
    ],
    ["a package of nothing", { model: "package", packageSize: 0, priceUsdMicros: "1" }],
    ["a percentage with a sign", { model: "percentage", percent: "2.9%" }],
  ])("%s is refused", (_, charge) => {
    expect(chargeSchema.safeParse(charge).success).toBe(false);
  });

  test.each([[-1n], ["-1"], ["1e3"], [""], ["abc"]])("a quantity of %s throws", (quantity) => {
    expect(() => rate(requests, quantity)).toThrow(RangeError);
  });
});
