import { describe, expect, test } from "vitest";
import { meter, plan } from "../../src/catalog/catalog.ts";
import { diffCatalogs } from "../../src/catalog/diff.ts";
import { defaultCatalog, mergeCatalog, parseCatalog, parsePlan } from "../../src/catalog/parse.ts";
import { pricingDocument } from "../../src/catalog/pricing.ts";
import { WeirError } from "../../src/kernel/errors.ts";

const catalog = defaultCatalog();

/** The document as an operator's file holds it: JSON, free to change. */
const copy = () => structuredClone(catalog);

function faultsOf(action: () => unknown): { path: string; message: string }[] {
  try {
    action();
  } catch (error) {
    if (error instanceof WeirError && error.code === "validation_failed") {
      return error.extra["errors"] as { path: string; message: string }[];
    }
    throw error;
  }
  throw new Error("nothing was refused");
}

const seats = { name: "seats", product: "state", unit: "seat", kind: "counter", description: "People." };
const team = {
  key: "team",
  name: "Team",
  currency: "USD",
  subscriptionUsdMicrosPerMonth: 20_000_000,
  allowances: { seats: { quantity: 5, period: "month", hard: false } },
  ceilings: { stateClasses: 1_000 },
  charges: { seats: { model: "per_unit", unitSize: 1, priceUsdMicros: "3500000.5" } },
};

describe("an operator's file", () => {
  test("adds a meter and a plan, and leaves the rest", () => {
    const merged = mergeCatalog(catalog, { meters: [seats], plans: [team] });
    expect(merged.meters).toHaveLength(25);
    expect(merged.plans.map((p) => p.key)).toEqual(["free", "pro", "team"]);
    expect(meter(merged, "seats").failurePolicy).toBe("deny");
    expect(catalog.meters).toHaveLength(24);
    const fields = pricingDocument(merged).products.find((p) => p.key === "state");
    expect(fields?.limit_fields.slice(-2).map((f) => f.name)).toEqual(["seatsPerDay", "seatsPerMonth"]);
    const shown = pricingDocument(merged).plans[2];
    expect(shown?.limits).toMatchObject({ stateClasses: 1_000, seatsPerMonth: 5, stateRequestsPerDay: null });
    expect(shown?.pricing["state"]).toMatchObject({ seatsOverageUsdMicrosPerBillingUnit: "3500000.5" });
  });

  test("replaces an entry of the same key as a whole", () => {
    const merged = mergeCatalog(catalog, {
      operations: { put: { usage: { state_requests: 2 } } },
      plans: [{ key: "free", name: "Free", subscriptionUsdMicrosPerMonth: 0 }],
    });
    expect(merged.operations["put"]).toEqual({ description: "", usage: { state_requests: 2 } });
    expect(merged.operations["get"]).toEqual(catalog.operations["get"]);
    expect(plan(merged, "free").allowances).toEqual({});
  });

  test("the whole document over itself changes nothing", () => {
    expect(diffCatalogs(catalog, mergeCatalog(catalog, copy()))).toEqual([]);
    expect(diffCatalogs(catalog, mergeCatalog(catalog, {}))).toEqual([]);
  });

  test("what is refused changes nothing", () => {
    const before = JSON.stringify(catalog);
    faultsOf(() => mergeCatalog(catalog, { plans: [{ ...team, allowances: { nope: { quantity: 1, period: "day", hard: true } } }] }));
    expect(JSON.stringify(catalog)).toBe(before);
  });

  test.each<[string, unknown, string, RegExp]>([
    ["no object", [], "", /object/],
    ["an unknown section", { prices: [] }, "", /prices/],
    ["an unknown field of a meter", { meters: [{ ...seats, colour: "red" }] }, "meters.0", /colour/],
    ["a meter's bad name", { meters: [{ ...seats, name: "Seats" }] }, "meters.0.name", /meter name/],
    ["a meter named as an inherited member", { meters: [{ ...seats, name: "constructor" }] }, "meters.0.name", /reserved/],
    ["a meter of no product", { meters: [{ ...seats, product: "nope" }] }, "meters.seats.product", /not a product/],
    ["a meter twice", { meters: [seats, seats] }, "meters.1", /twice/],
    ["a counter with ceilings", { meters: [{ ...seats, ceilings: { object: "stateClasses" } }] }, "meters.seats.ceilings", /gauge/],
    [
      "a gauge with an unknown ceiling",
      { meters: [{ ...seats, kind: "gauge", ceilings: { object: "nope" } }] },
      "meters.seats.ceilings.object",
      /not a ceiling/,
    ],
    [
      "a limit field that exists",
      { meters: [{ ...seats, limitField: { name: "stateRequests" } }] },
      "products.state",
      /stateRequestsPerDay exists/,
    ],
    ["a price field that exists", { meters: [{ ...seats, priceField: "state.requestOverageUsdMicrosPerMillion" }] }, "meters.24", /twice/],
    ["a plan twice", { plans: [team, team] }, "plans.1", /twice/],
    ["an allowance for no meter", { plans: [team] }, "plans.team.allowances.seats", /not a meter/],
    ["a charge for no meter", { plans: [{ ...team, allowances: {} }] }, "plans.team.charges.seats", /not a meter/],
    [
      "a day's allowance of a charged meter",
      { meters: [seats], plans: [{ ...team, allowances: { seats: { quantity: 5, period: "day", hard: true } } }] },
      "plans.team.charges.seats",
      /per day/,
    ],
    [
      "an unknown ceiling",
      { meters: [seats], plans: [{ ...team, ceilings: { nope: 1 } }] },
      "plans.team.ceilings.nope",
      /not a limit field/,
    ],
    [
      "a ceiling against the allowance",
      { meters: [seats], plans: [{ ...team, ceilings: { seatsPerMonth: 6 } }] },
      "plans.team.ceilings.seatsPerMonth",
      /follows from .*\(5\)/,
    ],
    [
      "a quantity past 2^53 − 1",
      { plans: [{ ...team, subscriptionUsdMicrosPerMonth: 2 ** 53 }] },
      "plans.0.subscriptionUsdMicrosPerMonth",
      /./,
    ],
    ["a negative fee", { plans: [{ ...team, subscriptionUsdMicrosPerMonth: -1 }] }, "plans.0.subscriptionUsdMicrosPerMonth", /./],
    ["no currency", { plans: [{ ...team, currency: "eur" }] }, "plans.0.currency", /USD/],
    [
      "a price that is a number",
      { plans: [{ ...team, charges: { seats: { model: "per_unit", unitSize: 1, priceUsdMicros: 3 } } }] },
      "plans.0.charges.seats.priceUsdMicros",
      /string/,
    ],
    [
      "tiers that fall",
      {
        plans: [
          {
            ...team,
            charges: {
              seats: {
                model: "volume",
                tiers: [
                  { upTo: 9, priceUsdMicros: "1" },
                  { upTo: 3, priceUsdMicros: "1" },
                  { upTo: null, priceUsdMicros: "1" },
                ],
              },
            },
          },
        ],
      },
      "plans.0.charges.seats.tiers.1.upTo",
      /above/,
    ],
    ["an operation that counts no meter", { operations: { put: { usage: { nope: 1 } } } }, "operations.put.usage.nope", /not a meter/],
    [
      "an operation that counts a gauge",
      { operations: { put: { usage: { kv_storage_bytes: 1 } } } },
      "operations.put.usage.kv_storage_bytes",
      /gauge/,
    ],
    [
      "an unknown fact",
      { operations: { put: { usage: { state_requests: { fact: "moon" } } } } },
      "operations.put.usage.state_requests",
      /./,
    ],
  ])("with %s is refused, and told where", (_, file, path, message) => {
    const faults = faultsOf(() => mergeCatalog(catalog, file));
    expect(faults).toContainEqual({ path, message: expect.stringMatching(message) });
  });

  test("a whole document needs its sections", () => {
    expect(faultsOf(() => parseCatalog({})).map((f) => f.path)).toEqual(["products", "meters", "operations", "plans"]);
  });
});

describe("a plan document on its own", () => {
  test("is read under the catalogue, its ceilings as the pricing document shows them", () => {
    const document = {
      key: "trial",
      name: "Trial",
      currency: "USD",
      subscriptionUsdMicrosPerMonth: 1_000_000,
      allowances: { state_requests: { quantity: 10, period: "day", hard: true } },
      ceilings: { stateClasses: 5, stateRequestsPerDay: 10 },
      charges: {},
    };
    expect(parsePlan(catalog, document)).toEqual({ ...document, ceilings: { stateClasses: 5 } });
  });

  test("is refused where it names what does not exist", () => {
    const faults = faultsOf(() => parsePlan(catalog, { key: "x", name: "X", subscriptionUsdMicrosPerMonth: 0, ceilings: { moons: 1 } }));
    expect(faults).toEqual([{ path: "ceilings.moons", message: "is not a limit field of the catalogue" }]);
  });
});

describe("the difference of two catalogues", () => {
  test("names what was added and changed by key", () => {
    const pro = structuredClone(plan(catalog, "pro"));
    const merged = mergeCatalog(catalog, {
      meters: [seats],
      plans: [
        { ...pro, charges: { ...pro.charges, state_requests: { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "200000" } } },
      ],
    });
    expect(diffCatalogs(catalog, merged).map((change) => change.text)).toEqual([
      '+ meters.seats: {"name":"seats","product":"state","unit":"seat","kind":"counter","description":"People.","failurePolicy":"deny"}',
      '~ plans.pro.charges.state_requests.priceUsdMicros: "150000" → "200000"',
    ]);
    expect(diffCatalogs(merged, catalog).map((change) => [change.kind, change.path])).toEqual([
      ["removed", "meters.seats"],
      ["changed", "plans.pro.charges.state_requests.priceUsdMicros"],
    ]);
  });
});
