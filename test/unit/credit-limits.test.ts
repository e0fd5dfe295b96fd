import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findMeter, type Charge } from "../../src/catalog/catalog.ts";
import { defaultCatalog, parsePlan } from "../../src/catalog/parse.ts";
import { limitsInForce } from "../../src/limits/in-force.ts";
import { apportion, creditedMeter, type CreditedMeter } from "../../src/rating/credit-limits.ts";

const catalog = defaultCatalog();
const METERS = ["log_events", "kv_reads", "kv_writes"] as const;
type Charges = Partial<Record<(typeof METERS)[number], object>>;

const planOf = (charges: Charges, included: Record<string, number> = {}) =>
  parsePlan(catalog, {
    key: "p",
    name: "P",
    subscriptionUsdMicrosPerMonth: 0,
    charges,
    allowances: Object.fromEntries(Object.entries(included).map(([m, quantity]) => [m, { quantity, period: "month", hard: false }])),
    credits: { required: true },
  });

/** The counters of a plan, with what is used of each. */
function metersOf(charges: Charges, used: Record<string, number>, included: Record<string, number> = {}, before = 0): CreditedMeter[] {
  const plan = planOf(charges, included);
  return Object.keys(charges).flatMap((name) => {
    const meter = findMeter(catalog, name);
    return meter ? [creditedMeter(plan, meter, BigInt(used[name] ?? 0), BigInt(before))] : [];
  });
}

const each = (priceUsdMicros: string) => ({ model: "per_unit", unitSize: 1, priceUsdMicros });
const paid = (meters: readonly CreditedMeter[]): bigint => meters.reduce((sum, { paidUsdMicros }) => sum + paidUsdMicros, 0n);

describe("what is set aside", () => {
  interface Case {
    what: string;
    meters: CreditedMeter[];
    left: number;
    standing?: Record<string, number>;
    needs: Record<string, number>;
    partial?: boolean;
    limits: Record<string, number>;
    covered: boolean;
  }
  const two = each("2");
  const cases: Case[] = [
    {
      what: "nothing is left: what is included, and no more",
      meters: metersOf({ log_events: two }, {}, { log_events: 100 }),
      left: 0,
      needs: { log_events: 101 },
      limits: { log_events: 100 },
      covered: false,
    },
    {
      what: "2 are left: 1 beyond what is included",
      meters: metersOf({ log_events: two }, {}, { log_events: 100 }),
      left: 2,
      needs: { log_events: 101 },
      limits: { log_events: 101 },
      covered: true,
    },
    {
      what: "100,002 are left, 1 is needed: 2 for it, and a hundredth of 100,000 beyond",
      meters: metersOf({ log_events: two }, {}),
      left: 100_002,
      needs: { log_events: 1 },
      limits: { log_events: 501 },
      covered: true,
    },
    {
      what: "1,002 are left: ten more of the same, which is more than a hundredth",
      meters: metersOf({ log_events: two }, {}),
      left: 1_002,
      needs: { log_events: 1 },
      limits: { log_events: 11 },
      covered: true,
    },
    {
      what: "12 are left: all of it, which is less than ten more",
      meters: metersOf({ log_events: two }, {}),
      left: 12,
      needs: { log_events: 1 },
      limits: { log_events: 6 },
      covered: true,
    },
    {
      what: "what a limit may cost is taken for spent: of 100, 80 are set aside",
      meters: metersOf({ log_events: two, kv_reads: two }, { log_events: 5 }),
      left: 100,
      standing: { log_events: 40 },
      needs: { kv_reads: 11 },
      limits: { log_events: 40, kv_reads: 0 },
      covered: false,
    },
    {
      what: "and 20 may be had",
      meters: metersOf({ log_events: two, kv_reads: two }, { log_events: 5 }),
      left: 100,
      standing: { log_events: 40 },
      needs: { kv_reads: 10 },
      limits: { log_events: 40, kv_reads: 10 },
      covered: true,
    },
    {
      what: "all or none: two needs that do not fit together",
      meters: metersOf({ log_events: two, kv_reads: two }, {}),
      left: 10,
      needs: { log_events: 3, kv_reads: 3 },
      limits: { log_events: 0, kv_reads: 0 },
      covered: false,
    },
    {
      what: "as far as it goes: half of 10 each",
      meters: metersOf({ log_events: two, kv_reads: two }, {}),
      left: 10,
      needs: { log_events: 9, kv_reads: 9 },
      partial: true,
      limits: { log_events: 2, kv_reads: 2 },
      covered: false,
    },
    {
      what: "what was used past a limit is paid first: 10 of 12",
      meters: metersOf({ log_events: two }, { log_events: 5 }),
      left: 12,
      standing: { log_events: 1 },
      needs: { log_events: 7 },
      limits: { log_events: 5 },
      covered: false,
    },
    {
      what: "a price of 0.5 is rounded as its line: 3 cost 2",
      meters: metersOf({ log_events: each("0.5") }, {}),
      left: 2,
      needs: { log_events: 3 },
      limits: { log_events: 4 },
      covered: true,
    },
    {
      what: "a counter goes on from what another plan counted",
      meters: metersOf({ log_events: two }, { log_events: 1 }, {}, 1_000),
      left: 4,
      needs: { log_events: 1_002 },
      limits: { log_events: 1_002 },
      covered: true,
    },
    {
      what: "packages of 100 at 7: a package is paid when it is begun",
      meters: metersOf({ log_events: { model: "package", packageSize: 100, priceUsdMicros: "7" } }, {}),
      left: 7,
      needs: { log_events: 1 },
      limits: { log_events: 100 },
      covered: true,
    },
    {
      what: "by volume 9 cost 45 and 11 cost 11: on the way to 11 stand 10, at 50",
      meters: metersOf(
        {
          log_events: {
            model: "volume",
            tiers: [
              { upTo: 10, priceUsdMicros: "5" },
              { upTo: null, priceUsdMicros: "1" },
            ],
          },
        },
        {},
      ),
      left: 49,
      needs: { log_events: 11 },
      limits: { log_events: 0 },
      covered: false,
    },
  ];
  test.each([
    [7_666_669, true],
    [7_666_670, false],
  ])("the example of docs/billing.md: %i requests with $1.00 prepaid", (need, covered) => {
    const meters = metersOf(
      { log_events: { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "150000" } },
      {},
      { log_events: 1_000_000 },
    );
    const month = { leftUsdMicros: 1_000_000n, dueUsdMicros: 0n, meters };
    expect(apportion(month, new Map(), new Map([["log_events", need]]), false).covered).toBe(covered);
  });

  test.each(cases)("$what", ({ meters, left, standing = {}, needs, partial = false, limits, covered }) => {
    const month = { leftUsdMicros: BigInt(left), dueUsdMicros: paid(meters), meters };
    const got = apportion(month, new Map(Object.entries(standing)), new Map(Object.entries(needs)), partial);
    expect({ limits: Object.fromEntries(got.limits), covered: got.covered }).toEqual({ limits, covered });
  });
});

const price = fc.tuple(fc.nat(20), fc.nat(9)).map(([whole, part]) => `${whole}.${part}`);
const tiers = fc.tuple(fc.integer({ min: 1, max: 50 }), price, price, fc.nat(30)).map(([upTo, first, second, flat]) => [
  { upTo, priceUsdMicros: first },
  { upTo: null, priceUsdMicros: second, flatUsdMicros: String(flat) },
]);
const charge: fc.Arbitrary<Charge> = fc.oneof(
  fc.record({ model: fc.constant("per_unit" as const), unitSize: fc.integer({ min: 1, max: 10 }), priceUsdMicros: price }),
  fc.record({ model: fc.constant("graduated" as const), tiers }),
  fc.record({ model: fc.constant("volume" as const), tiers }),
  fc.record({ model: fc.constant("package" as const), packageSize: fc.integer({ min: 1, max: 20 }), priceUsdMicros: price }),
);
const wish = fc.record({ meter: fc.nat(2), more: fc.integer({ min: 1, max: 200 }), use: fc.nat(100), partial: fc.boolean() });

describe("whatever the prices, and whatever is asked for in whatever order", () => {
  test("nothing that is used within the limits costs more than was left, limits never fall, and what is affordable is had", () => {
    fc.assert(
      fc.property(fc.tuple(charge, charge, charge), fc.nat(3_000), fc.array(wish, { maxLength: 25 }), (charges, left, wishes) => {
        const priced = Object.fromEntries(METERS.map((name, i) => [name, charges[i]]));
        const used: Record<string, number> = {};
        let limits: ReadonlyMap<string, number> = new Map();
        for (const { meter, more, use, partial } of wishes) {
          const name = METERS[meter] ?? "log_events";
          const meters = metersOf(priced, used);
          const need = (used[name] ?? 0) + more;
          const month = { leftUsdMicros: BigInt(left), dueUsdMicros: paid(meters), meters };
          const before = limits;
          const { limits: after, covered } = apportion(month, before, new Map([[name, need]]), partial);
          limits = after;
          for (const [of, limit] of before) expect(limits.get(of)).toBeGreaterThanOrEqual(limit);
          // The dearest that can come of it, though prices by volume may fall again.
          const most = meters.reduce((sum, m) => sum + m.cost(BigInt(limits.get(m.meter) ?? 0)), 0n);
          expect(most <= BigInt(left)).toBe(true);
          expect(!covered || (limits.get(name) ?? 0) >= need).toBe(true);
          // Used is anything within the limit.
          used[name] = Math.min((used[name] ?? 0) + Math.round((more * use) / 100), limits.get(name) ?? 0);
        }
      }),
      { seed: 11, numRuns: 300 },
    );
  });
});

describe("limits in force", () => {
  const plan = planOf({ log_events: each("2"), kv_storage_bytes: each("1") } as Charges, { log_events: 100 });
  const limitOf = (credits: Map<string, number>, of = plan) =>
    limitsInForce(catalog, of, [], credits).meters.flatMap(({ meter, periods }) =>
      periods.month.plan === null && periods.day.plan === null ? [] : [[meter.name, periods.day.plan, periods.month.plan]],
    );

  test("a counter with a charge stops at what is set aside, at nothing before; a gauge and a counter without a charge do not", () => {
    expect(limitOf(new Map())).toEqual([["log_events", null, 0]]);
    expect(limitOf(new Map([["log_events", 150]]))).toEqual([["log_events", null, 150]]);
  });

  test("a plan that does not require credits stops nowhere for them", () => {
    expect(limitOf(new Map(), { ...plan, credits: { required: false, lowPercent: 20 } })).toEqual([]);
  });
});
