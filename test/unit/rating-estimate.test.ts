import { describe, expect, test } from "vitest";
import { meter, plan, type Plan } from "../../src/catalog/catalog.ts";
import { defaultCatalog, parsePlan } from "../../src/catalog/parse.ts";
import { fraction } from "../../src/kernel/money.ts";
import { billingEstimate } from "../../src/rating/estimate.ts";
import { rateMonth } from "../../src/rating/month.ts";
import { ratePlanLine } from "../../src/rating/plan-line.ts";

const catalog = defaultCatalog();
const free = plan(catalog, "free");
const pro = plan(catalog, "pro");

/** A whole month under one plan; of a gauge `used` is the average too. */
const estimateOf = (of: Plan, used: Record<string, number>) => {
  const quantities = new Map(Object.entries(used).map(([name, quantity]) => [name, fraction(BigInt(quantity))]));
  const month = rateMonth({ plan: of, meters: catalog.meters, share: fraction(1n), quantities });
  return billingEstimate({ catalog, plan: of, used, months: [month], credits: [] });
};

const STATE = [
  "state_requests",
  "state_duration_gb_milliseconds",
  "state_sqlite_rows_read",
  "state_sqlite_rows_written",
  "state_sqlite_storage_bytes",
];

describe("on Pro", () => {
  const estimate = estimateOf(pro, {
    state_requests: 1_500_000,
    state_sqlite_rows_written: 60_000_000,
    log_events: 5,
    state_sqlite_storage_bytes: 160_000_000_000,
  });

  test("lists the meters of State and what else was used", () => {
    expect(estimate.lineItems.map((line) => line.meter)).toEqual([...STATE, "log_events"]);
  });

  test("500,000 requests over cost 500,000 / 1,000,000 × $0.15 = $0.075", () => {
    expect(estimate.lineItems[0]).toEqual({
      product: "state",
      meter: "state_requests",
      currentMonthUsed: 1_500_000,
      includedPerMonth: 1_000_000,
      billableAmount: 500_000,
      usageUnit: "request",
      billingUnit: "million requests",
      billingUnitSize: 1_000_000,
      priceUsdMicrosPerBillingUnit: 150_000,
      rounding: "prorated_to_micro_usd",
      estimatedUsdMicros: 75_000,
      estimateBasis: "current_month_usage_window",
    });
  });

  test("160 GB stored all month cost 155 × $0.20 = $31.00", () => {
    expect(estimate.lineItems[4]).toEqual({
      product: "state",
      meter: "state_sqlite_storage_bytes",
      currentMonthUsed: 160_000_000_000,
      includedPerMonth: 5_000_000_000,
      billableAmount: 155_000_000_000,
      usageUnit: "byte",
      billingUnit: "GB-month",
      billingUnitSize: 1_000_000_000,
      priceUsdMicrosPerBillingUnit: 200_000,
      rounding: "prorated_to_micro_usd",
      estimatedUsdMicros: 31_000_000,
      estimateBasis: "month_average_at_current_storage_bytes",
    });
  });

  test("adds up: 0.075 + 10 × 1.00 + 31.00 = $41.075 over, $46.075 in all", () => {
    expect(estimate).toMatchObject({
      currency: "USD",
      plan: "pro",
      paidOveragesEnabled: true,
      subscriptionUsdMicrosPerMonth: 5_000_000,
      currentMonthOverageUsdMicros: 41_075_000,
      estimatedMonthlyTotalUsdMicros: 46_075_000,
    });
  });

  test("names the costliest first, with the command that stops it", () => {
    expect(estimate.nextActions[0]).toMatch(/weir limits set state_sqlite_storage_bytes --period month --value 160000000000$/);
    expect(estimate.nextActions).toHaveLength(3);
  });

  test("80 GB now, 160 GB on average: the level is shown, the average is billed", () => {
    const quantities = new Map([["state_sqlite_storage_bytes", fraction(320_000_000_001n, 2n)]]);
    const month = rateMonth({ plan: pro, meters: catalog.meters, share: fraction(1n), quantities });
    const used = { state_sqlite_storage_bytes: 80_000_000_000 };
    expect(billingEstimate({ catalog, plan: pro, used, months: [month], credits: [] }).lineItems[4]).toMatchObject({
      currentMonthUsed: 80_000_000_000,
      billableAmount: 155_000_000_001, // 155,000,000,000.5
      estimatedUsdMicros: 31_000_000,
    });
  });

  test("an unused month costs the subscription alone", () => {
    const unused = estimateOf(pro, {});
    expect(unused.lineItems.map((line) => line.meter)).toEqual(STATE);
    expect(unused.lineItems.every((line) => line.estimatedUsdMicros === 0 && line.billableAmount === 0)).toBe(true);
    expect(unused.estimatedMonthlyTotalUsdMicros).toBe(5_000_000);
    expect(unused.nextActions).toHaveLength(1);
  });

  test("free transfer is a line of $0", () => {
    const { lineItems } = estimateOf(pro, { worker_transfer_bytes: 7_000_000_000 });
    expect(lineItems[0]).toMatchObject({
      meter: "worker_transfer_bytes",
      includedPerMonth: null,
      billableAmount: 7_000_000_000,
      priceUsdMicrosPerBillingUnit: 0,
      estimatedUsdMicros: 0,
    });
  });
});

describe("on Free", () => {
  const estimate = estimateOf(free, {
    state_requests: 3_000_000,
    kv_reads: 12,
    worker_cpu_ms: 9,
    state_sqlite_storage_bytes: 4_000_000_000,
  });

  test("nothing is billed, whatever was used", () => {
    expect(estimate).toMatchObject({
      plan: "free",
      paidOveragesEnabled: false,
      subscriptionUsdMicrosPerMonth: 0,
      currentMonthOverageUsdMicros: 0,
      estimatedMonthlyTotalUsdMicros: 0,
    });
  });

  test("a day's allowance is no month's: its lines say null; a gauge's level holds all month", () => {
    expect(estimate.lineItems.map((line) => [line.meter, line.currentMonthUsed, line.includedPerMonth])).toEqual([
      ["kv_reads", 12, null],
      ["state_requests", 3_000_000, null],
      ["state_duration_gb_milliseconds", 0, null],
      ["state_sqlite_rows_read", 0, null],
      ["state_sqlite_rows_written", 0, null],
      ["state_sqlite_storage_bytes", 4_000_000_000, 5_000_000_000],
    ]);
    expect(estimate.lineItems.every((line) => line.priceUsdMicrosPerBillingUnit === null && line.billableAmount === 0)).toBe(true);
  });

  test("says what to do to go on", () => {
    expect(estimate.nextActions).toEqual([
      "Free stops at its allowances; nothing is billed beyond them. To go on past them, change the subscription to pro.",
    ]);
  });
});

describe("other charges of a plan", () => {
  const priced = (charge: unknown, allowance?: unknown) =>
    parsePlan(catalog, {
      key: "x",
      name: "X",
      subscriptionUsdMicrosPerMonth: 0,
      allowances: allowance === undefined ? {} : { state_requests: allowance },
      charges: { state_requests: charge },
    });
  const lineOf = (charge: unknown, used: number, allowance?: unknown) =>
    estimateOf(priced(charge, allowance), { state_requests: used }).lineItems[0];
  const month = (quantity: number) => ({ quantity, period: "month", hard: false });

  test("whole packages: 250 less 50 in packages of 150 are 2", () => {
    expect(lineOf({ model: "package", packageSize: 150, priceUsdMicros: "7" }, 250, month(50))).toMatchObject({
      includedPerMonth: 50,
      billableAmount: 200,
      billingUnit: "150 request",
      billingUnitSize: 150,
      priceUsdMicrosPerBillingUnit: 7,
      rounding: "next_billing_unit",
      estimatedUsdMicros: 14,
    });
  });

  test("a price below a micro-dollar is told over a larger unit: 0.15 each is 15 per 100", () => {
    expect(lineOf({ model: "per_unit", unitSize: 1, priceUsdMicros: "0.15" }, 10)).toMatchObject({
      billingUnitSize: 100,
      priceUsdMicrosPerBillingUnit: 15,
      estimatedUsdMicros: 2, // 1.5
    });
  });

  test("tiers have no one price, and count from where the allowance ends: 15 less 5 is 10 × 5", () => {
    const tiers = [
      { upTo: 10, priceUsdMicros: "5" },
      { upTo: null, priceUsdMicros: "3" },
    ];
    expect(lineOf({ model: "graduated", tiers }, 15, month(5))).toMatchObject({
      includedPerMonth: 5,
      billableAmount: 10,
      priceUsdMicrosPerBillingUnit: null,
      estimatedUsdMicros: 50,
    });
  });

  test("a charge that says what it includes is taken at its word, once", () => {
    const charge = { model: "per_unit", unitSize: 1, priceUsdMicros: "2", included: 10 };
    expect(lineOf(charge, 15, month(10))).toMatchObject({ includedPerMonth: 10, billableAmount: 5, estimatedUsdMicros: 10 });
    expect(lineOf(charge, 15, { quantity: 100, period: "day", hard: true })).toMatchObject({
      includedPerMonth: 10,
      estimatedUsdMicros: 10,
    });
  });

  test("a gauge's allowance is a level, whatever period it is written under", () => {
    const document = parsePlan(catalog, {
      key: "x",
      name: "X",
      subscriptionUsdMicrosPerMonth: 0,
      allowances: { kv_storage_bytes: { quantity: 100, period: "day", hard: true } },
      charges: { kv_storage_bytes: { model: "per_unit", unitSize: 1, priceUsdMicros: "2" } },
    });
    const line = ratePlanLine(document, meter(catalog, "kv_storage_bytes"), 103n);
    expect(line.rated).toMatchObject({ billable: "3", amountUsdMicros: 6n });
  });

  test("a gauge's average need not be whole: 5,000,002,500.5 bytes → 2,500.5 over → 0.5001 → 1", () => {
    const line = ratePlanLine(pro, meter(catalog, "state_sqlite_storage_bytes"), "5000002500.5");
    expect(line.rated).toMatchObject({ billable: "2500.5", amountUsdMicros: 1n });
  });
});
