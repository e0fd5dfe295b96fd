import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Charge } from "../../src/catalog/charge.ts";
import { chargeSchema } from "../../src/catalog/charge.ts";
import { rate } from "../../src/rating/rate.ts";

describe("whatever the charge", () => {
  const price = fc.tuple(fc.nat(1_000_000), fc.nat(999_999)).map(([whole, part]) => `${whole}.${part.toString().padStart(6, "0")}`);
  const size = fc.integer({ min: 1, max: 1_000_000 });
  const included = fc.nat(1_000_000);
  const tierList = fc
    .tuple(fc.uniqueArray(fc.integer({ min: 1, max: 1_000_000 }), { maxLength: 6 }), fc.array(price, { minLength: 14, maxLength: 14 }))
    .map(([bounds, prices]) =>
      [...bounds.sort((a, b) => a - b), null].map((upTo, index) => ({
        upTo,
        priceUsdMicros: prices[index * 2] ?? "0",
        flatUsdMicros: prices[index * 2 + 1] ?? "0",
      })),
    );
  const monotoneCharge: fc.Arbitrary<Charge> = fc.oneof(
    fc.record({ model: fc.constant("per_unit" as const), unitSize: size, priceUsdMicros: price, included }),
    fc.record({ model: fc.constant("graduated" as const), unitSize: size, tiers: tierList }),
    fc.record({ model: fc.constant("package" as const), packageSize: size, priceUsdMicros: price, included }),
    fc.record({ model: fc.constant("percentage" as const), percent: price, fixedUsdMicros: price, includedUsdMicros: price }),
  );
  const anyCharge: fc.Arbitrary<Charge> = fc.oneof(
    monotoneCharge,
    fc.record({ model: fc.constant("volume" as const), unitSize: size, tiers: tierList }),
  );
  const quantity = fc.bigInt({ min: 0n, max: 3_000_000n });

  test("every generated charge is valid, and its tiers add up to its amount", () => {
    fc.assert(
      fc.property(anyCharge, quantity, (charge, q) => {
        expect(chargeSchema.safeParse(charge).success).toBe(true);
        const rated = rate(charge, q);
        expect(rated.tiers.reduce((sum, tier) => sum + tier.amountUsdMicros, 0n)).toBe(rated.amountUsdMicros);
        expect(rated.amountUsdMicros >= 0n).toBe(true);
      }),
    );
  });

  test("using more never costs less, where tiers do not reprice the whole", () => {
    fc.assert(
      fc.property(monotoneCharge, quantity, quantity, (charge, a, b) => {
        expect(rate(charge, a + b).amountUsdMicros).toBeGreaterThanOrEqual(rate(charge, a).amountUsdMicros);
      }),
    );
  });

  test("a graduated charge of equal tiers costs what one price costs", () => {
    fc.assert(
      fc.property(price, size, fc.uniqueArray(size, { maxLength: 5 }), quantity, (priceUsdMicros, unitSize, bounds, q) => {
        const list = [...bounds.sort((a, b) => a - b), null].map((upTo) => ({ upTo, priceUsdMicros }));
        const split = rate({ model: "graduated", unitSize, tiers: list }, q).amountUsdMicros;
        expect(split).toBe(rate({ model: "per_unit", unitSize, priceUsdMicros }, q).amountUsdMicros);
      }),
    );
  });

  test("an integer and its decimal cost the same", () => {
    fc.assert(
      fc.property(anyCharge, quantity, (charge, q) => {
        expect(rate(charge, `${q}.00`)).toEqual(rate(charge, q));
      }),
    );
  });
});
