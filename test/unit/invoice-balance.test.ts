import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { closed } from "../../src/invoices/closing-lines.ts";
import type { InvoiceLine } from "../../src/invoices/invoice.ts";
import { APRIL, termsOf } from "../support/invoice-input.ts";

const line = (amountUsdMicros: number): InvoiceLine => ({
  kind: "proration",
  description: "a line",
  period: { start: "2027-04-01T00:00:00.000Z", end: "2027-05-01T00:00:00.000Z" },
  quantity: 1,
  included: 0,
  billable: 1,
  unitPrice: amountUsdMicros,
  unit: "month",
  unitSize: 1,
  amountUsdMicros,
  explain: { text: "" },
});

const invoice = (own: number, balance: number, taxPercent = "0") => {
  const terms = termsOf({ taxes: [{ name: "VAT", percent: taxPercent, inclusive: false }] });
  return closed([line(own)], { terms, credits: [], balance: BigInt(balance), period: APRIL, currency: "USD" });
};
const carriedBy = ({ lines }: { lines: readonly InvoiceLine[] }) =>
  lines.filter(({ explain }) => explain.balance).map(({ explain, amountUsdMicros }) => [explain.balance, amountUsdMicros]);

describe("what is owed to an account", () => {
  test.each([
    ["nothing is carried", 500, 0, 500, []],
    ["less than nothing goes to the next", -300, 0, 0, [["to_next", 300]]],
    ["what was left comes off", 500, 200, 300, [["from_earlier", -200]]],
    ["all of it", 500, 500, 0, [["from_earlier", -500]]],
    [
      "and what is left then goes on",
      500,
      700,
      0,
      [
        ["from_earlier", -700],
        ["to_next", 200],
      ],
    ],
    [
      "both at once",
      -300,
      700,
      0,
      [
        ["from_earlier", -700],
        ["to_next", 1_000],
      ],
    ],
    ["what was taken too much is billed again", 500, -100, 600, [["from_earlier", 100]]],
  ] as const)("%s: %i with a balance of %i is %i", (_what, own, balance, total, carried) => {
    expect(invoice(own, balance).totalUsdMicros).toBe(total);
    expect(carriedBy(invoice(own, balance))).toEqual(carried);
  });

  test("was taxed where it arose: −1,000 at 19 % leaves 1,190, and 2,000 at 19 % less that is 1,190", () => {
    const first = invoice(-1_000, 0, "19");
    expect(first).toMatchObject({ totalUsdMicros: 0, taxUsdMicros: -190 });
    expect(carriedBy(first)).toEqual([["to_next", 1_190]]);
    expect(invoice(2_000, 1_190, "19")).toMatchObject({ totalUsdMicros: 1_190, taxUsdMicros: 380 });
  });

  test("no invoice is below zero, and all of them come to what they come to together, less what is still carried", () => {
    const amounts = fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(amounts, fc.nat(30).map(String), (own, percent) => {
        let balance = 0;
        let paid = 0;
        for (const amount of own) {
          const made = invoice(amount, balance, percent);
          expect(made.totalUsdMicros).toBeGreaterThanOrEqual(0);
          balance += carriedBy(made).reduce((sum, [, carried]) => sum + Number(carried), 0);
          paid += made.totalUsdMicros;
        }
        const due = own.reduce(
          (sum, amount) =>
            sum +
            invoice(amount, 0, percent)
              .lines.slice(0, 2)
              .reduce((all, l) => all + l.amountUsdMicros, 0),
          0,
        );
        expect(paid - balance).toBe(due);
      }),
    );
  });
});
