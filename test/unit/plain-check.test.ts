import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkRequestSchema } from "../../src/gate/check-request.ts";
import { isPlainCheck } from "../../src/gate/plain-check.ts";
import { QUANTITY_MAX } from "../../src/kernel/quantity.ts";

const seed = Number(process.env["WEIR_SEED"] ?? Date.now() % 1_000_000);

const quantity = fc.oneof(fc.nat(), fc.constantFrom(0, 1, QUANTITY_MAX));
const name = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,64}$/);
const valid = fc.record(
  {
    account: name,
    service: name,
    namespace: fc.constantFrom("Room", "state_namespace_7", "A1"),
    object: fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }),
    operation: fc.string({ minLength: 1, maxLength: 64 }),
    usage: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/), quantity, { maxKeys: 6 }),
    storageBytes: fc.oneof(fc.record({ set: quantity }), fc.record({ delta: fc.integer() })),
    payloadBytes: quantity,
    mode: fc.constantFrom("consume", "reserve", "peek"),
    ttlSeconds: fc.integer({ min: 1, max: 3_600 }),
    idempotencyKey: fc.string({ minLength: 1, maxLength: 255 }),
  },
  { requiredKeys: ["account"] },
);

/** What may stand where something else should. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    "",
    "1",
    -1,
    1.5,
    -0,
    Number.NaN,
    QUANTITY_MAX + 1,
    Infinity,
    [],
    {},
    "a/b",
    "a\u0000",
    "\ud800",
    "é".repeat(70),
  ),
  fc.anything(),
);
const bent = fc
  .tuple(valid, fc.constantFrom(...Object.keys(checkRequestSchema.shape), "extra", "constructor"), odd)
  .map(([check, member, value]) => ({
    ...check,
    [member]: value,
  }));
const bentWithin = fc
  .tuple(valid, fc.constantFrom("usage", "storageBytes"), fc.constantFrom("set", "delta", "log_events", "UP", "x y"), odd)
  .map(([check, member, inner, value]) => ({ ...check, [member]: { ...check[member as "usage"], [inner]: value } }));

describe("a plain check", () => {
  it(`is one for the schema too, unchanged (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.oneof(bent, bentWithin, fc.anything()), (body) => {
        if (!isPlainCheck(body)) return;
        expect(checkRequestSchema.safeParse(body)).toEqual({ success: true, data: body });
      }),
      { seed, numRuns: 3_000 },
    );
  });

  it(`is every body that the schema accepts (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.oneof(valid, bent, bentWithin), (made) => {
        const body: unknown = JSON.parse(JSON.stringify(made));
        expect(isPlainCheck(body)).toBe(checkRequestSchema.safeParse(body).success);
      }),
      { seed, numRuns: 3_000 },
    );
  });
});
