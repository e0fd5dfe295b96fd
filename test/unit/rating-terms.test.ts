import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { meter, plan, type Plan } from "../../src/catalog/catalog.ts";
import { defaultCatalog, parsePlan } from "../../src/catalog/parse.ts";
import { fraction } from "../../src/kernel/money.ts";
import { applyDiscounts, discountsAt, type Discount } from "../../src/rating/discount.ts";
import { billingEstimate } from "../../src/rating/estimate.ts";
import { rateMonth } from "../../src/rating/month.ts";
import { ratePlanLine } from "../../src/rating/plan-line.ts";
import { prorated } from "../../src/rating/proration.ts";
import { taxed, type TaxRate } from "../../src/rating/tax.ts";

const DAY = 86_400_000;
const percent = (value: string, until: number | null = null): Discount => ({ name: `${value} %`, percent: value, until });
const amount = (amountUsdMicros: number): Discount => ({ name: "off", amountUsdMicros, until: null });
const tax = (value: string, inclusive = false): TaxRate => ({ name: "VAT", percent: value, inclusive });

describe("a fee by the millisecond", () => {
  test.each([
    ["a whole month", 5_000_000n, 30 * DAY, 30 * DAY, 5_000_000n],
    ["10 of 30 days: 5,000,000 / 3 = 1,666,666.67", 5_000_000n, 10 * DAY, 30 * DAY, 1_666_667n],
    ["1 ms of 30 days: 5,000,000 / 2,592,000,000 = 0.0019", 5_000_000n, 1, 30 * DAY, 0n],
    ["259,200 ms of 30 days: 500.0", 5_000_000n, 259_200, 30 * DAY, 500n],
    ["half a micro-dollar goes up", 1n, 1, 2, 1n],
    ["and down, for a credit", -1n, 1, 2, -1n],
    ["nothing of it", 5_000_000n, 0, 30 * DAY, 0n],
  ])("%s", (_name, fee, ms, of, micros) => {
    expect(prorated(fee, ms, of)).toBe(micros);
  });
});

describe("discounts", () => {
  test.each<[string, bigint, Discount[], bigint[]]>([
    ["none", 100n, [], []],
    ["10 % of 46,075,000", 46_075_000n, [percent("10")], [-4_607_500n]],
    ["half a micro-dollar off is one: 50 % of 1", 1n, [percent("50")], [-1n]],
    ["one after the other: 10 % of 1,000, then 10 % of 900", 1_000n, [percent("10"), percent("10")], [-100n, -90n]],
    ["an amount, at most what is there", 300n, [amount(500)], [-300n]],
    ["an amount, then a percentage of the rest", 1_000n, [amount(400), percent("50")], [-400n, -300n]],
    ["all of it: nothing is left for the second", 1_000n, [percent("100"), amount(5)], [-1_000n]],
    ["more than all of it is all of it", 1_000n, [percent("250")], [-1_000n]],
    ["none off a credit", -500n, [percent("10"), amount(5)], []],
  ])("%s", (_name, subtotal, discounts, off) => {
    expect(applyDiscounts(subtotal, discounts).map((d) => d.amountUsdMicros)).toEqual(off);
  });

  test("hold until their end: for a month that ends there, not for the next", () => {
    const until = Date.parse("2027-01-01T00:00:00Z");
    const discounts = [percent("10"), percent("20", until)];
    expect(discountsAt(discounts, until)).toHaveLength(2);
    expect(discountsAt(discounts, until + 1)).toEqual([percent("10")]);
  });
});

describe("taxes", () => {
  test.each<[string, bigint, TaxRate[], { net: bigint; taxes: bigint[]; total: bigint }]>([
    ["none", 1_000n, [], { net: 1_000n, taxes: [], total: 1_000n }],
    ["19 % on top of 1,000", 1_000n, [tax("19")], { net: 1_000n, taxes: [190n], total: 1_190n }],
    ["7.7 % on top of 5: 0.385", 5n, [tax("7.7")], { net: 5n, taxes: [0n], total: 5n }],
    ["50 % on top of 1: 0.5 → 1", 1n, [tax("50")], { net: 1n, taxes: [1n], total: 2n }],
    ["two on top, neither on the other", 1_000n, [tax("5"), tax("9.975")], { net: 1_000n, taxes: [50n, 100n], total: 1_150n }],
    ["19 % contained in 1,190: 1,190 × 0.19 / 1.19", 1_190n, [tax("19", true)], { net: 1_000n, taxes: [190n], total: 1_190n }],
    ["19 % contained in 100: 15.966 → 16", 100n, [tax("19", true)], { net: 84n, taxes: [16n], total: 100n }],
    ["100 % contained in 1: 0.5 is the tax's", 1n, [tax("100", true)], { net: 0n, taxes: [1n], total: 1n }],
    ["two contained in 112: 5 % and 7 %", 112n, [tax("5", true), tax("7", true)], { net: 100n, taxes: [5n, 7n], total: 112n }],
    [
      "one contained, one on top of the net: 1,190 holds 190; 10 % of 1,000",
      1_190n,
      [tax("19", true), tax("10")],
      { net: 1_000n, taxes: [190n, 100n], total: 1_290n },
    ],
    ["of a credit", -1_000n, [tax("19")], { net: -1_000n, taxes: [-190n], total: -1_190n }],
    ["contained in a credit", -1_190n, [tax("19", true)], { net: -1_000n, taxes: [-190n], total: -1_190n }],
  ])("%s", (_name, gross, rates, { net, taxes, total }) => {
    const found = taxed(gross, rates);
    expect(found).toMatchObject({ netUsdMicros: net, totalUsdMicros: total });
    expect(found.taxes.map((t) => t.amountUsdMicros)).toEqual(taxes);
  });

  test("net and taxes add up to the total, and what is contained adds nothing to it", () => {
    const rate = fc.record({
      name: fc.constant("t"),
      percent: fc.integer({ min: 0, max: 99_999 }).map((n) => `${Math.trunc(n / 1_000)}.${String(n % 1_000).padStart(3, "0")}`),
      inclusive: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), fc.array(rate, { maxLength: 4 }), (gross, rates) => {
        const found = taxed(gross, rates);
        expect(found.taxes.reduce((sum, t) => sum + t.amountUsdMicros, 0n)).toBe(found.taxUsdMicros);
        expect(found.netUsdMicros + found.taxUsdMicros).toBe(found.totalUsdMicros);
        expect(
          taxed(
            gross,
            rates.filter((r) => r.inclusive),
          ).totalUsdMicros,
        ).toBe(gross);
      }),
    );
  });
});

const catalog = defaultCatalog();

describe("a month under one plan", () => {
  const committed = parsePlan(catalog, {
    key: "team",
    name: "Team",
    currency: "EUR",
    subscriptionUsdMicrosPerMonth: 0,
    minimumUsdMicrosPerMonth: 100,
    charges: { state_requests: { model: "per_unit", unitSize: 1, priceUsdMicros: "2" } },
  });
  const month = (requests: bigint, share = fraction(1n)) =>
    rateMonth({ plan: committed, meters: catalog.meters, share, quantities: new Map([["state_requests", fraction(requests)]]) });

  test.each([
    ["nothing used: the whole minimum", 0n, fraction(1n), 100n],
    ["30 × 2 = 60 of 100: 40 are missing", 30n, fraction(1n), 40n],
    ["50 × 2 reach it", 50n, fraction(1n), null],
    ["51 × 2 pass it", 51n, fraction(1n), null],
    ["half a month commits to half: 50 − 20 × 2", 20n, fraction(1n, 2n), 10n],
    ["a third of a month commits to 33", 0n, fraction(1n, 3n), 33n],
  ])("%s", (_name, requests, share, missing) => {
    expect(month(requests, share).trueUp?.amountUsdMicros ?? null).toBe(missing);
  });

  test("a plan without a minimum asks for none; meters without a charge have no line", () => {
    const quantities = new Map([["worker_requests", fraction(3n)]]);
    const free = rateMonth({ plan: plan(catalog, "free"), meters: catalog.meters, share: fraction(1n), quantities });
    expect(free).toEqual({ lines: [], trueUp: null });
  });

  test("an average of thirds is rated exactly: (5 × 10^9 + 1/3) over 5 GB at 3 micro-dollars a byte is 1", () => {
    const exact = parsePlan(catalog, {
      key: "x",
      name: "X",
      subscriptionUsdMicrosPerMonth: 0,
      allowances: { kv_storage_bytes: { quantity: 5_000_000_000, period: "month", hard: false } },
      charges: { kv_storage_bytes: { model: "per_unit", unitSize: 1, priceUsdMicros: "3" } },
    });
    const line = ratePlanLine(exact, meter(catalog, "kv_storage_bytes"), fraction(15_000_000_001n, 3n));
    expect(line.rated).toMatchObject({ amountUsdMicros: 1n, billable: "1/3", tiers: [{ quantity: "1/3", units: "1/3" }] });
  });

  test("the estimate counts what is missing to the minimum", () => {
    const estimate = billingEstimate({ catalog, plan: committed, used: { state_requests: 30 }, months: [month(30n)], credits: [] });
    expect(estimate).toMatchObject({ currency: "EUR", currentMonthOverageUsdMicros: 60, estimatedMonthlyTotalUsdMicros: 100 });
  });

  test("what was used under an earlier plan of the month is rated by that plan, the rest by this one", () => {
    const [free, pro] = [plan(catalog, "free"), plan(catalog, "pro")];
    const under = (of: Plan, requests: bigint) =>
      rateMonth({
        plan: of,
        meters: catalog.meters,
        share: fraction(1n, 2n),
        quantities: new Map([["state_requests", fraction(requests)]]),
      });
    const months = [under(free, 400_000n), under(pro, 1_500_000n)];
    const estimate = billingEstimate({ catalog, plan: pro, used: { state_requests: 1_900_000 }, months, credits: [] });
    // 1,900,000 − 400,000 under Free − 1,000,000 included = 500,000 × 0.15.
    expect(estimate.lineItems[0]).toMatchObject({ currentMonthUsed: 1_900_000, billableAmount: 500_000, estimatedUsdMicros: 75_000 });
  });

  test("two plans of a month are billed each, and each for its own minimum, also where the present one charges nothing", () => {
    const free = plan(catalog, "free");
    const months = [month(30n, fraction(1n, 2n)), month(0n, fraction(1n, 4n))];
    // 30 × 2 = 60 pass half of 100; a quarter of 100 is missing.
    expect(billingEstimate({ catalog, plan: free, used: { state_requests: 30 }, months, credits: [] })).toMatchObject({
      currentMonthOverageUsdMicros: 60,
      estimatedMonthlyTotalUsdMicros: 85,
    });
  });
});
