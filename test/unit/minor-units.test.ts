import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InvoiceLine } from "../../src/invoices/invoice.ts";
import type { DueInvoice } from "../../src/payments/adapter.ts";
import { inMinorUnits } from "../../src/payments/minor-units.ts";
import { itemsOf } from "../../src/payments/stripe-items.ts";

describe("amounts in a currency's smallest unit", () => {
  test.each([
    ["USD", [5_000_000, 75_000, 123_456], [500, 8, 12]], // 519.8456 cents; .5 is the largest remainder
    ["EUR", [5_000, 5_000], [1, 0]], // half a cent each: one in all, the first line's
    ["USD", [10_000_000, -2_505_000], [1000, -250]], // 749.5 → 750
    ["USD", [4_999], [0]],
    ["JPY", [1_500_000, 1_500_000], [2, 1]],
    ["KWD", [5_124_000], [5_120]], // three decimals, the last one 0
    ["ISK", [5_400_000], [500]], // whole krónur, written in hundredths
  ])("%s: %j is %j", (currency, micros, units) => {
    expect(inMinorUnits(micros.map(BigInt), currency)).toEqual(units);
  });

  test("they add up to the rounded sum, and none moves by a whole step", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: -1_000_000_000_000n, max: 1_000_000_000_000n }), { minLength: 1, maxLength: 300 }),
        (micros) => {
          const cents = inMinorUnits(micros, "USD");
          const sum = micros.reduce((total, amount) => total + amount, 0n);
          const off = Number(sum) / 10_000 - cents.reduce((total, amount) => total + amount, 0);
          const moved = cents.map((amount, i) => Math.abs(amount * 10_000 - Number(micros[i])));
          return Math.abs(off) <= 0.5 && moved.every((by) => by < 10_000);
        },
      ),
    );
  });
});

describe("the items of an invoice", () => {
  const line = (amountUsdMicros: number, description = "a line"): InvoiceLine => ({
    kind: "usage",
    description,
    period: { start: "2027-04-01T00:00:00.000Z", end: "2027-05-01T00:00:00.000Z" },
    quantity: 1,
    included: 0,
    billable: 1,
    unitPrice: 1,
    unit: "unit",
    unitSize: 1,
    amountUsdMicros,
    explain: { text: "" },
  });
  const due = (lines: InvoiceLine[], creditedUsdMicros = 0): DueInvoice => ({
    account: "a",
    id: "inv_1",
    number: 1,
    currency: "USD",
    lines,
    creditedUsdMicros,
    customer: { id: null, name: null, email: null },
    externalId: null,
    tried: false,
    refusals: 0,
  });

  test("name the line, its time in seconds and its words; lines of nothing are left out", () => {
    expect(itemsOf(due([line(1_000_000), line(0), line(30, "less than a cent"), line(2_000_000, "x".repeat(600))], 500_000))).toEqual([
      { line: "1", amount: 100, description: "a line", period: { start: 1_806_537_600, end: 1_809_129_600 } },
      { line: "4", amount: 200, description: "x".repeat(500), period: { start: 1_806_537_600, end: 1_809_129_600 } },
      { line: "credited", amount: -50, description: "Credit notes", period: { start: 1_806_537_600, end: 1_809_129_600 } },
    ]);
  });

  test("are 250 at most, whatever the lines, and come to the same", () => {
    const items = itemsOf(
      due(
        Array.from({ length: 1_000 }, () => line(1_234_567)),
        1_000_000,
      ),
    );
    expect(items).toHaveLength(250);
    expect(items.at(-2)).toMatchObject({ line: "rest", description: "752 more lines" });
    expect(items.reduce((sum, { amount }) => sum + amount, 0)).toBe(Math.round((1_234_567_000 - 1_000_000) / 10_000));
  });
});
