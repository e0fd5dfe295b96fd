import { Big } from "big.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { subscriptionAt, type Subscription } from "../../src/accounts/subscription.ts";
import { compose } from "../../src/invoices/compose.ts";
import type { Basis, InvoiceLine } from "../../src/invoices/invoice.ts";
import { prorated } from "../../src/rating/proration.ts";
import { hoursOfPlan } from "../../src/usage/plan-hours.ts";
import { planParts, windowsOfMonth, type AccountMonth } from "../../src/usage/plan-use.ts";
import { NO_SUMS, type SumWindow, type WindowSums } from "../../src/usage/window-sums-store.ts";
import { APRIL, AprilInvoices, DAY, termsOf, type Used } from "../support/invoice-input.ts";

const METER = "log_events";
const price = fc.tuple(fc.nat(100_000), fc.nat(999_999)).map(([whole, part]) => `${whole}.${String(part).padStart(6, "0")}`);
const size = fc.integer({ min: 1, max: 100_000 });
const quantity = fc.nat(100_000_000);
const included = fc.nat(1_000_000);
const tierList = fc
  .tuple(fc.uniqueArray(size, { maxLength: 4 }), fc.array(price, { minLength: 10, maxLength: 10 }))
  .map(([bounds, prices]) =>
    [...bounds.sort((a, b) => a - b), null].map((upTo, i) => ({
      upTo,
      priceUsdMicros: prices[i * 2] ?? "0",
      flatUsdMicros: prices[i * 2 + 1] ?? "0",
    })),
  );
const monotone = fc.oneof(
  fc.record({ model: fc.constant("per_unit"), unitSize: size, priceUsdMicros: price, included }),
  fc.record({ model: fc.constant("graduated"), unitSize: size, tiers: tierList }),
  fc.record({ model: fc.constant("package"), packageSize: size, priceUsdMicros: price, included }),
);
const anyCharge = fc.oneof(monotone, fc.record({ model: fc.constant("volume"), unitSize: size, tiers: tierList }));

const invoicesOf = (charge: object, fee = 0) =>
  new AprilInvoices([{ key: "p", name: "P", subscriptionUsdMicrosPerMonth: fee, charges: { [METER]: charge } }]);
const linesOf = (charge: object, used: Used[string]): InvoiceLine[] =>
  compose(invoicesOf(charge).input([{ day: -60, plan: "p" }], { p: { [METER]: used } }))?.lines ?? [];
const sum = (lines: readonly InvoiceLine[]): number => lines.reduce((total, line) => total + line.amountUsdMicros, 0);

describe("an invoice, whatever the plan", () => {
  test("agrees with big.js on 10,000 months: usage, fee begun inside the month, discount and tax", () => {
    Big.RM = Big.roundHalfUp;
    Big.DP = 60;
    const rounded = (n: Big): number => Number(n.round(0, Big.roundHalfUp).toFixed());
    fc.assert(
      fc.property(
        fc.record({
          price,
          unitSize: size,
          included,
          quantity,
          fee: fc.nat(100_000_000),
          ms: fc.integer({ min: 1, max: 30 * DAY - 1 }),
          off: fc.nat(100),
          tax: fc.nat(30),
        }),
        ({ price: each, unitSize, included: free, quantity: used, fee, ms, off, tax }) => {
          const april = invoicesOf({ model: "per_unit", unitSize, priceUsdMicros: each, included: free }, fee);
          const terms = termsOf({
            discounts: [{ name: "d", percent: String(off), until: null }],
            taxes: [{ name: "t", percent: String(tax), inclusive: false }],
          });
          const body = compose(april.input([{ day: 30 - ms / DAY, plan: "p" }], { p: { [METER]: used } }, { terms }));
          const usage = rounded(new Big(Math.max(0, used - free)).div(unitSize).times(each));
          const partial = rounded(new Big(fee).times(ms).div(30 * DAY));
          const before = fee + partial + usage;
          const discount = rounded(new Big(before).times(off).div(100));
          const taxed = rounded(new Big(before - discount).times(tax).div(100));
          expect(body?.totalUsdMicros ?? 0).toBe(before - discount + taxed);
          expect(body?.taxUsdMicros ?? 0).toBe(taxed);
        },
      ),
      { numRuns: 10_000, seed: 1 },
    );
  }, 60_000);

  test("its lines add up to its total, its tiers to their lines, and the same input gives the same bytes", () => {
    const taxes = fc.array(fc.record({ name: fc.constant("t"), percent: fc.nat(30).map(String), inclusive: fc.boolean() }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(anyCharge, quantity, taxes, fc.nat(100), (charge, used, rates, off) => {
        const input = () =>
          invoicesOf(charge, 5_000_000).input(
            [{ day: 12, plan: "p" }],
            { p: { [METER]: used } },
            {
              terms: termsOf({ taxes: rates, discounts: [{ name: "d", percent: String(off), until: null }] }),
            },
          );
        const body = compose(input());
        expect(sum(body?.lines ?? [])).toBe(body?.totalUsdMicros);
        const tiered = (body?.lines ?? []).filter(({ tiers = [] }) => tiers.length > 0);
        expect(tiered.map(({ tiers = [] }) => tiers.reduce((all, tier) => all + tier.amountUsdMicros, 0))).toEqual(
          tiered.map((l) => l.amountUsdMicros),
        );
        const told = (body?.lines ?? []).reduce((all, line) => all + (line.explain.taxUsdMicros ?? 0), 0);
        expect(told).toBe(body?.taxUsdMicros);
        expect(JSON.stringify(compose(input()))).toBe(JSON.stringify(body));
      }),
    );
  });

  test("using more never costs less, where the model does not reprice the whole", () => {
    fc.assert(
      fc.property(monotone, quantity, quantity, (charge, a, b) => {
        expect(sum(linesOf(charge, a + b))).toBeGreaterThanOrEqual(sum(linesOf(charge, a)));
      }),
    );
  });
});

test("a month billed in steps, in any order of late usage and corrections, comes to what it comes to at once", () => {
  const step = fc.record({ used: fc.nat(1_000_000), corrected: fc.integer({ min: -500_000, max: 500_000 }) });
  fc.assert(
    fc.property(anyCharge, fc.array(step, { minLength: 1, maxLength: 5 }), (charge, steps) => {
      const april = new AprilInvoices([{ key: "pro", name: "P", subscriptionUsdMicrosPerMonth: 0, charges: { [METER]: charge } }]);
      const now = { used: 0, corrected: 0 };
      let billed: Basis | null = null;
      let total = 0;
      for (const { used, corrected } of steps) {
        now.used += used;
        now.corrected += corrected;
        const body = compose(april.input([{ day: -60, plan: "pro" }], {}, { earlier: [april.march(METER, billed, { ...now })] }));
        const lines = (body?.lines ?? []).filter(({ explain }) => explain.basis);
        total += sum(lines);
        billed = lines.at(-1)?.explain.basis ?? billed;
      }
      const once = compose(april.input([{ day: -60, plan: "pro" }], {}, { earlier: [april.march(METER, null, now)] }));
      expect(total).toBe(once?.totalUsdMicros ?? 0);
    }),
  );
});

test("what lacks to a minimum is billed once, in however many steps usage comes and goes, and never beside usage that reaches it", () => {
  const step = fc.record({ used: fc.nat(400_000), corrected: fc.integer({ min: -300_000, max: 300_000 }) });
  const charge = { model: "per_unit", unitSize: 1, priceUsdMicros: "10" };
  const minimumUsdMicrosPerMonth = 5_000_000;
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      const april = new AprilInvoices([
        { key: "pro", name: "P", subscriptionUsdMicrosPerMonth: 0, minimumUsdMicrosPerMonth, charges: { [METER]: charge } },
      ]);
      const history = [{ day: -60, plan: "pro" }];
      const now = { used: 0, corrected: 0 };
      let billed = new Map<string, Basis>();
      const sums = { usage: 0, missing: 0 };
      for (const [i, { used, corrected }] of steps.entries()) {
        now.used += used;
        now.corrected += corrected;
        const usage = { pro: { [METER]: { ...now } } };
        // The month's own invoice first, later ones then.
        const earlier = [{ month: april.month(APRIL, history, usage), billed }];
        const { window, ...rest } = april.input(history, {}).ahead;
        const later = { ...april.input([], {}), month: null, ahead: { window, ...rest, priced: null }, earlier };
        const made = compose(i === 0 ? april.input(history, usage) : later)?.lines ?? [];
        const lines = made.filter(({ explain }) => explain.basis);
        expect(lines.filter(({ meter }) => meter === undefined).length).toBeLessThanOrEqual(1);
        for (const line of lines) sums[line.meter === undefined ? "missing" : "usage"] += line.amountUsdMicros;
        billed = new Map(lines.reduce((all, { meter, explain }) => all.set(`pro/${meter ?? "minimum"}`, explain.basis!), billed));
        const costs = Math.max(0, now.used + now.corrected) * 10;
        expect(sums).toEqual({ usage: costs, missing: Math.max(0, minimumUsdMicrosPerMonth - costs) });
      }
    }),
  );
});

test("the parts of a fee over a month cut anywhere are off its whole by at most half a micro-dollar each", () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 30 * DAY - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.nat(1_000_000_000), cuts, (fee, given) => {
      const edges = [0, ...given.sort((a, b) => a - b), 30 * DAY];
      const parts = edges.slice(1).map((to, i) => prorated(BigInt(fee), to - (edges[i] ?? 0), 30 * DAY));
      const off = parts.reduce((total, part) => total + part, 0n) - BigInt(fee);
      expect(2n * (off < 0n ? -off : off)).toBeLessThanOrEqual(BigInt(parts.length));
    }),
  );
});

/** A ledger of calls, each at its millisecond, and the answers that Postgres would give of it. */
const HOUR = 3_600_000;
const bucketOf = (at: number): number => Math.floor(at / HOUR) * HOUR;

test("usage cut at any changes of plan adds up to the month's, and each call is billed under the plan it was made under", () => {
  const call = fc.record({
    at: fc.integer({ min: 0, max: 30 * 24 * 20 - 1 }).map((n) => APRIL.start + n * 180_000),
    quantity: fc.bigInt({ min: 1n, max: 1_000n }),
  });
  const changes = fc.uniqueArray(fc.integer({ min: 1, max: 30 * 24 * 20 - 1 }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), changes, (calls, given) => {
      const starts = [APRIL.start - DAY, ...given.sort((a, b) => a - b).map((n) => APRIL.start + n * 180_000 + 1)];
      const history = starts.map((startsAt, i): Subscription => ({
        plan: `plan${i % 3}`,
        startsAt,
        endsAt: starts[i + 1] ?? null,
        trialEndsAt: null,
        catalogVersion: 1,
        usedBefore: {
          from: bucketOf(startsAt),
          counters: { [METER]: total(calls.filter((c) => c.at < startsAt && c.at >= bucketOf(startsAt))) },
          levels: {},
        },
      }));
      const month: AccountMonth = { account: "a", window: APRIL, history };
      const booked = ({ from, to }: SumWindow): WindowSums =>
        new Map([[METER, { ...NO_SUMS, usage: total(calls.filter((c) => bucketOf(c.at) >= from && bucketOf(c.at) < to)) }]]);
      const parts = planParts(month, windowsOfMonth(month).map(booked));
      for (const part of parts) {
        const mine = total(calls.filter((c) => subscriptionAt(history, c.at)?.plan === part.plan));
        expect(part.sums.get(METER)?.usage ?? 0n).toBe(mine);
        const hours = new Map(
          [...new Set(calls.map((c) => bucketOf(c.at)))].map((h) => [h, total(calls.filter((c) => bucketOf(c.at) === h))]),
        );
        const walked = hoursOfPlan(month, part.plan, hours, (change) => change.usedBefore?.counters[METER] ?? 0n);
        expect([...walked.values()].reduce((all, q) => all + q, 0n)).toBe(mine);
      }
      expect(parts.reduce((all, part) => all + (part.sums.get(METER)?.usage ?? 0n), 0n)).toBe(total(calls));
    }),
  );
});

const total = (calls: readonly { quantity: bigint }[]): bigint => calls.reduce((all, c) => all + c.quantity, 0n);
