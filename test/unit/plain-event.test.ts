import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { usageEventSchema } from "../../src/gate/event-envelope.ts";
import { isPlainEvent } from "../../src/gate/plain-event.ts";
import { QUANTITY_MAX } from "../../src/kernel/quantity.ts";

const seed = Number(process.env["WEIR_SEED"] ?? Date.now() % 1_000_000);

const quantity = fc.oneof(fc.nat(), fc.constantFrom(0, 1, QUANTITY_MAX));
const name = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,64}$/);
const text = fc.stringMatching(/^[!-~]{1,255}$/);
const time = fc.constantFrom("2026-11-21T00:00:00Z", "2026-02-28T23:59:59.999+05:30", null);
const data = fc.record(
  {
    service: name,
    namespace: fc.constantFrom("Room", "state_namespace_7"),
    object: fc.stringMatching(/^[a-z]{1,9}$/),
    usage: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/), quantity, { maxKeys: 6 }),
    storageBytes: fc.oneof(fc.record({ set: quantity }), fc.record({ delta: fc.integer() })),
  },
  { requiredKeys: ["usage"] },
);
const valid = fc.record(
  {
    specversion: fc.constant("1.0"),
    type: fc.constant("weir.usage"),
    source: text,
    id: text,
    subject: name,
    time,
    data,
    traceparent: text,
  },
  { requiredKeys: ["specversion", "type", "source", "id", "subject", "data"] },
);

/** What may stand where something else should. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, "", "1", -1, 1.5, -0, QUANTITY_MAX + 1, [], {}, "a/b", "a\u0000", "\ud800", "é".repeat(300)),
  fc.constantFrom<unknown>("2026-02-30T00:00:00Z", "2026-11-21T00:00:00", "x".repeat(256), "1.1", "weir.usages"),
  fc.anything(),
);
const bent = fc
  .tuple(valid, fc.constantFrom("specversion", "type", "source", "id", "subject", "time", "data", "extra"), odd)
  .map(([event, member, value]) => ({ ...event, [member]: value }));
const bentData = fc
  .tuple(valid, fc.constantFrom("service", "namespace", "object", "usage", "storageBytes", "extra"), odd)
  .map(([event, member, value]) => ({ ...event, data: { ...event.data, [member]: value } }));

describe("a plain event", () => {
  it(`is one for the schema too, unchanged (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.oneof(valid, bent, bentData, fc.anything()), (item) => {
        if (!isPlainEvent(item)) return;
        expect(usageEventSchema.safeParse(item)).toEqual({ success: true, data: item });
      }),
      { seed, numRuns: 3_000 },
    );
  });

  it(`is every event that the schema accepts, as JSON brings it (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.oneof(valid, bent, bentData), (made) => {
        const item: unknown = JSON.parse(JSON.stringify(made));
        expect(isPlainEvent(item)).toBe(usageEventSchema.safeParse(item).success);
      }),
      { seed, numRuns: 3_000 },
    );
  });
});
