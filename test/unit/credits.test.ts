import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newGrant, grantRequestSchema, grantRequestText, creditState, type CreditGrant } from "../../src/credits/credit-grant.ts";
import { compose } from "../../src/invoices/compose.ts";
import { creditsApplied } from "../../src/invoices/credit-lines.ts";
import { burnCredits, burnOrder, coveredByCredits, type CreditLeft } from "../../src/rating/credits.ts";
import { AprilInvoices, termsOf } from "../support/invoice-input.ts";

const JUNE = Date.parse("2027-06-01T00:00:00Z");
const JULY = Date.parse("2027-07-01T00:00:00Z");

/** A grant of dollars; `seq` is the order in which grants were made. */
const credit = (id: string, left: number, more: Partial<CreditLeft> = {}): CreditLeft => ({
  id,
  name: id,
  currency: "USD",
  priority: 50,
  expiresAt: null,
  seq: 1,
  amountUsdMicros: BigInt(Math.max(left, 0)),
  leftUsdMicros: BigInt(left),
  ...more,
});

describe("what is burned, and in which order", () => {
  const cases: [what: string, due: number, grants: CreditLeft[], burned: [id: string, amount: number][]][] = [
    ["nothing is due", 0, [credit("a", 10)], []],
    ["less than nothing is due", -5, [credit("a", 10)], []],
    ["there are none", 10, [], []],
    ["10 of 30: the rest stays", 10, [credit("a", 30)], [["a", 10]]],
    ["30 of 10: all of it, 20 are left to be paid", 30, [credit("a", 10)], [["a", 10]]],
    ["exactly", 10, [credit("a", 10)], [["a", 10]]],
    [
      "the lowest priority first",
      15,
      [credit("a", 10, { priority: 51 }), credit("b", 10, { priority: 50, seq: 2 })],
      [
        ["b", 10],
        ["a", 5],
      ],
    ],
    [
      "then what expires first",
      15,
      [credit("a", 10, { expiresAt: JULY }), credit("b", 10, { expiresAt: JUNE, seq: 2 })],
      [
        ["b", 10],
        ["a", 5],
      ],
    ],
    [
      "what never expires comes last",
      15,
      [credit("a", 10), credit("b", 10, { expiresAt: JULY, seq: 2 })],
      [
        ["b", 10],
        ["a", 5],
      ],
    ],
    [
      "then what was granted first",
      15,
      [credit("b", 10, { seq: 2 }), credit("a", 10, { seq: 1 })],
      [
        ["a", 10],
        ["b", 5],
      ],
    ],
    ["priority goes before expiry", 5, [credit("a", 10, { expiresAt: JUNE }), credit("b", 10, { priority: 0, seq: 2 })], [["b", 5]]],
    ["expiry goes before age", 5, [credit("a", 10, { seq: 1 }), credit("b", 10, { expiresAt: JULY, seq: 9 })], [["b", 5]]],
    ["another currency is not touched", 10, [credit("a", 10, { currency: "EUR" }), credit("b", 4)], [["b", 4]]],
    ["one that is used up is passed over", 10, [credit("a", 0), credit("b", 20, { seq: 2 })], [["b", 10]]],
    ["one that drafts have overdrawn is passed over", 10, [credit("a", -3), credit("b", 20, { seq: 2 })], [["b", 10]]],
    [
      "three in turn: 5 + 7 + 8 of 9",
      20,
      [credit("c", 9, { seq: 3 }), credit("a", 5), credit("b", 7, { seq: 2 })],
      [
        ["a", 5],
        ["b", 7],
        ["c", 8],
      ],
    ],
  ];
  test.each(cases)("%s", (_what, due, grants, burned) => {
    const got = burnCredits(BigInt(due), "USD", grants).map(({ grant, amountUsdMicros }) => [grant.id, Number(amountUsdMicros)]);
    expect(got).toEqual(burned);
  });
});

describe("what of an invoice credits may pay: usage, less its share of the discounts", () => {
  const cases: [arithmetic: string, usage: number, before: number, after: number, covered: number][] = [
    ["usage alone: 10", 10, 10, 10, 10],
    ["fees are not paid with credits: 10 of 15", 10, 15, 15, 10],
    ["10 % off 15: 10 × 13.5/15 = 9", 10, 15, 13.5, 9],
    ["everything is off: nothing", 10, 15, 0, 0],
    ["usage was corrected below nothing", -10, 15, 15, 0],
    ["a fee is given back: 10 − 4 = 6 are left to be paid", 10, 6, 6, 6],
    ["a third is off: 1 × 2/3 → 0.666667", 1, 3, 2, 0.666667],
  ];
  const micros = (n: number): bigint => BigInt(Math.round(n * 1_000_000));
  test.each(cases)("%s", (_arithmetic, usage, before, after, covered) => {
    const sums = { usageUsdMicros: micros(usage), beforeDiscountsUsdMicros: micros(before), afterDiscountsUsdMicros: micros(after) };
    expect(coveredByCredits(sums)).toBe(micros(covered));
  });
});

const grants = fc.array(
  fc.record({
    leftUsdMicros: fc.bigInt({ min: 0n, max: 1_000_000n }),
    priority: fc.integer({ min: 0, max: 3 }),
    expiresAt: fc.constantFrom(JUNE, JULY, null),
    currency: fc.constantFrom("USD", "EUR"),
  }),
  { maxLength: 20 },
);
const named = (made: readonly Omit<CreditLeft, "id" | "name" | "seq" | "amountUsdMicros">[]): CreditLeft[] =>
  made.map((grant, seq) => ({ ...grant, amountUsdMicros: grant.leftUsdMicros, id: `crg_${seq}`, name: "n", seq }));

describe("whatever was granted", () => {
  test("burns are above nothing, within each grant and within what is due, and leave none of it while something is left", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -10n, max: 5_000_000n }), grants, (due, made) => {
        const all = named(made);
        const burned = burnCredits(due, "USD", all);
        const sum = burned.reduce((total, { amountUsdMicros }) => total + amountUsdMicros, 0n);
        const left = all.reduce((total, g) => (g.currency === "USD" ? total + g.leftUsdMicros : total), 0n);
        const wanted = due < 0n ? 0n : due;
        expect(sum).toBe(wanted < left ? wanted : left);
        expect(burned.every(({ grant, amountUsdMicros: n }) => n > 0n && n <= grant.leftUsdMicros && grant.currency === "USD")).toBe(true);
        // All but the last are burned to the end, in order.
        expect(burned.slice(0, -1).every(({ grant, amountUsdMicros: n }) => n === grant.leftUsdMicros)).toBe(true);
        expect(burned.map(({ grant }) => grant)).toEqual(burned.map(({ grant }) => grant).toSorted(burnOrder));
      }),
      { seed: 7, numRuns: 2_000 },
    );
  });

  test("the order in which grants are read changes nothing", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 5_000_000n }), grants, fc.infiniteStream(fc.nat()), (due, made, chance) => {
        const all = named(made);
        const shuffled = all.map((grant) => ({ grant, at: chance.next().value ?? 0 })).sort((a, b) => a.at - b.at);
        expect(
          burnCredits(
            due,
            "USD",
            shuffled.map(({ grant }) => grant),
          ),
        ).toEqual(burnCredits(due, "USD", all));
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});

describe("on an invoice", () => {
  const plan = { charges: { log_events: { model: "per_unit", unitSize: 1, priceUsdMicros: "2" } } };
  const april = new AprilInvoices([{ key: "p", name: "P", subscriptionUsdMicrosPerMonth: 1_000_000, ...plan }]);
  const bodyOf = (used: number, credits: CreditLeft[], terms = termsOf({})) =>
    compose(april.input([{ day: -60, plan: "p" }], { p: { log_events: used } }, { credits, terms }));
  const amountsOf = (body: ReturnType<typeof bodyOf>) => body?.lines.map(({ kind, amountUsdMicros }) => [kind, amountUsdMicros]);

  test("1,000 × 2 = 2,000 of usage, 1,500 prepaid: the fee and 500 are left to be paid", () => {
    const body = bodyOf(1_000, [credit("a", 1_500)]);
    expect(amountsOf(body)).toEqual([
      ["subscription", 1_000_000],
      ["usage", 2_000],
      ["credit", -1_500],
    ]);
    expect(body?.totalUsdMicros).toBe(1_000_500);
    expect(body?.lines[2]?.explain).toEqual({
      text: "$0.002 of usage to pay, $0.0015 prepaid left: −$0.0015",
      baseUsdMicros: 2_000,
      creditGrant: "a",
    });
  });

  test("before tax: 20 % of what money pays. A discount of 10 % leaves 1,800 to be burned", () => {
    const terms = termsOf({
      discounts: [{ name: "d", percent: "10", until: null }],
      taxes: [{ name: "VAT", percent: "20", inclusive: false }],
    });
    // 1,002,000 − 100,200 = 901,800; usage's share 2,000 × 901,800/1,002,000 = 1,800; 20 % of 900,000 = 180,000.
    expect(amountsOf(bodyOf(1_000, [credit("a", 5_000)], terms))).toEqual([
      ["subscription", 1_000_000],
      ["usage", 2_000],
      ["credit", -100_200],
      ["credit", -1_800],
      ["tax", 180_000],
    ]);
  });

  test("the example of docs/billing.md: $5.40", () => {
    const terms = termsOf({
      discounts: [{ name: "d", percent: "10", until: null }],
      taxes: [{ name: "VAT", percent: "20", inclusive: false }],
    });
    const credits = [credit("june", 50_000, { expiresAt: JUNE }), credit("may", 20_000, { expiresAt: JUNE - 1, seq: 2 })];
    const body = compose(april.input([{ day: -60, plan: "pro" }], { pro: { state_requests: 1_500_000 } }, { credits, terms }));
    expect(amountsOf(body)).toEqual([
      ["subscription", 5_000_000],
      ["usage", 75_000],
      ["credit", -507_500],
      ["credit", -20_000],
      ["credit", -47_500],
      ["tax", 900_000],
    ]);
    expect(body?.totalUsdMicros).toBe(5_400_000);
  });

  test("the same input gives the same bytes, what was applied is told, and the fee is never paid with credits", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), grants, (used, made) => {
        const body = bodyOf(used, named(made));
        expect(JSON.stringify(bodyOf(used, named(made).reverse()))).toBe(JSON.stringify(body));
        const applied = creditsApplied(body?.lines ?? []);
        expect(applied).toBeLessThanOrEqual(used * 2);
        expect(body?.totalUsdMicros).toBe(1_000_000 + used * 2 - applied);
      }),
      { seed: 9, numRuns: 200 },
    );
  });
});

describe("a grant", () => {
  const now = JUNE;
  const request = (more: object = {}) => grantRequestSchema.parse({ amountUsdMicros: 7, idempotencyKey: "k", ...more });

  test("is in force from now on, and paid for at its worth; a gift was not paid for", () => {
    expect(newGrant(request(), now)).toMatchObject({ effectiveAt: now, expiresAt: null, costBasis: "1", priority: 50, currency: "USD" });
    expect(newGrant(request({ kind: "promotional" }), now).costBasis).toBe("0");
    expect(newGrant(request({ costBasis: "0.8", expiresAt: "2027-07-01T02:00:00+02:00" }), now)).toMatchObject({
      costBasis: "0.8",
      expiresAt: JULY,
    });
  });

  test("is the same request however its times are written", () => {
    const [utc, elsewhere] = ["2027-07-01T00:00:00Z", "2027-07-01T02:00:00+02:00"].map((expiresAt) =>
      grantRequestText(request({ expiresAt })),
    );
    expect(elsewhere).toBe(utc);
    expect(grantRequestText(request())).not.toBe(utc);
  });

  test.each([
    [{}, "active"],
    [{ effectiveAt: JULY, expiresAt: null }, "planned"],
    [{ expiresAt: now }, "expired"],
    [{ expiresAt: now + 1 }, "active"],
    [{ burnedUsdMicros: 7 }, "used_up"],
    [{ burnedUsdMicros: 7, voidedAt: 1 }, "voided"],
  ] as const)("%j is %s", (more, state) => {
    const grant: CreditGrant = {
      ...newGrant(request(), 0),
      id: "crg_1",
      account: "acct_1",
      burnedUsdMicros: 0,
      madeBy: "operator",
      createdAt: 0,
      voidedAt: null,
      seq: 1,
      ...more,
    };
    expect(creditState(grant, now)).toBe(state);
  });
});
