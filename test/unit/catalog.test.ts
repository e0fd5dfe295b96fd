import { describe, expect, test } from "vitest";
import { findMeter, findPlan, meter, plan } from "../../src/catalog/catalog.ts";
import { defaultCatalog } from "../../src/catalog/parse.ts";
import { pricingDocument } from "../../src/catalog/pricing.ts";

const catalog = defaultCatalog();

describe("the catalogue that ships", () => {
  const NAMES =
    "worker_requests worker_cpu_ms worker_transfer_bytes static_transfer_bytes sqlite_rows_read sqlite_rows_written " +
    "sqlite_storage_bytes kv_reads kv_writes kv_deletes kv_lists kv_storage_bytes queue_operations state_requests " +
    "state_duration_gb_milliseconds state_sqlite_rows_read state_sqlite_rows_written state_sqlite_storage_bytes " +
    "object_storage_bytes object_storage_class_a_operations object_storage_class_b_operations object_storage_egress_bytes " +
    "build_minutes log_events";

  test("has all 24 meters, in order", () => {
    expect(catalog.meters.map((m) => m.name).join(" ")).toBe(NAMES);
  });

  test("has four gauges", () => {
    const gauges = catalog.meters.filter((m) => m.kind === "gauge").map((m) => m.name);
    expect(gauges).toEqual(["sqlite_storage_bytes", "kv_storage_bytes", "state_sqlite_storage_bytes", "object_storage_bytes"]);
  });

  test("denies by default when nothing can be asked", () => {
    expect(new Set(catalog.meters.map((m) => m.failurePolicy))).toEqual(new Set(["deny"]));
  });

  // meter · Free [quantity, period] · Pro included a month · Pro price in micro-dollars per size
  test.each<[string, [number, string] | null, number | null, string, number]>([
    ["worker_requests", [100_000, "day"], 10_000_000, "300000", 1_000_000],
    ["worker_cpu_ms", null, 30_000_000, "20000", 1_000_000],
    ["worker_transfer_bytes", null, null, "0", 1_000_000_000],
    ["static_transfer_bytes", null, null, "0", 1_000_000_000],
    ["sqlite_rows_read", [5_000_000, "day"], 25_000_000_000, "1000", 1_000_000],
    ["sqlite_rows_written", [100_000, "day"], 50_000_000, "1000000", 1_000_000],
    ["sqlite_storage_bytes", null, 5_000_000_000, "750000", 1_000_000_000],
    ["kv_reads", [100_000, "day"], 10_000_000, "500000", 1_000_000],
    ["kv_writes", [1_000, "day"], 1_000_000, "5000000", 1_000_000],
    ["kv_deletes", [1_000, "day"], 1_000_000, "5000000", 1_000_000],
    ["kv_lists", [1_000, "day"], 1_000_000, "5000000", 1_000_000],
    ["kv_storage_bytes", null, 1_000_000_000, "500000", 1_000_000_000],
    ["queue_operations", [10_000, "day"], 1_000_000, "400000", 1_000_000],
    ["state_requests", [100_000, "day"], 1_000_000, "150000", 1_000_000],
    ["state_duration_gb_milliseconds", [13_000_000, "day"], 400_000_000, "12500000", 1_000_000_000],
    ["state_sqlite_rows_read", [5_000_000, "day"], 25_000_000_000, "1000", 1_000_000],
    ["state_sqlite_rows_written", [100_000, "day"], 50_000_000, "1000000", 1_000_000],
    ["state_sqlite_storage_bytes", [5_000_000_000, "month"], 5_000_000_000, "200000", 1_000_000_000],
    ["object_storage_bytes", null, 10_000_000_000, "15000", 1_000_000_000],
    ["object_storage_class_a_operations", null, 1_000_000, "4500000", 1_000_000],
    ["object_storage_class_b_operations", null, 10_000_000, "360000", 1_000_000],
    ["object_storage_egress_bytes", null, 1_000_000_000_000, "1200000", 1_000_000_000_000],
    ["build_minutes", [3_000, "month"], 6_000, "5000", 1],
    ["log_events", [200_000, "day"], 20_000_000, "600000", 1_000_000],
  ])("%s has the published figures", (name, free, included, priceUsdMicros, unitSize) => {
    const [freePlan, pro] = [plan(catalog, "free"), plan(catalog, "pro")];
    expect(freePlan.allowances[name]).toEqual(free ? { quantity: free[0], period: free[1], hard: true } : undefined);
    expect(freePlan.charges[name]).toBeUndefined();
    expect(pro.allowances[name]).toEqual(included === null ? undefined : { quantity: included, period: "month", hard: false });
    expect(pro.charges[name]).toEqual({ model: "per_unit", unitSize, priceUsdMicros });
  });

  test("Pro costs $5 a month, Free nothing", () => {
    expect(plan(catalog, "free").subscriptionUsdMicrosPerMonth).toBe(0);
    expect(plan(catalog, "pro").subscriptionUsdMicrosPerMonth).toBe(5_000_000);
  });

  test("cannot be changed in place", () => {
    expect(() => Object.assign(plan(catalog, "free"), { name: "Gratis" })).toThrow(TypeError);
    expect(() => catalog.meters.push(meter(catalog, "kv_reads"))).toThrow(TypeError);
  });

  test("a name that does not exist is not found, inherited ones included", () => {
    expect(() => meter(catalog, "nope")).toThrow(/not found/);
    expect(() => plan(catalog, "nope")).toThrow(/not found/);
    expect(findMeter(catalog, "constructor")).toBeUndefined();
    expect(findPlan(catalog, "__proto__")).toBeUndefined();
  });
});

describe("the pricing document", () => {
  const document = pricingDocument(catalog);
  const state = document.products.find((p) => p.key === "state");

  test("names the limits of State in their order, with the values of Free and Pro", () => {
    expect(state?.limit_fields).toEqual([
      { name: "stateClasses", free: 100, pro: 500 },
      { name: "stateRequestsPerDay", free: 100_000, pro: null },
      { name: "stateRequestsPerMonth", free: null, pro: 1_000_000 },
      { name: "stateDurationGbSecondsPerDay", free: 13_000, pro: null },
      { name: "stateDurationGbSecondsPerMonth", free: null, pro: 400_000 },
      { name: "stateSqliteRowsReadPerDay", free: 5_000_000, pro: null },
      { name: "stateSqliteRowsReadPerMonth", free: null, pro: 25_000_000_000 },
      { name: "stateSqliteRowsWrittenPerDay", free: 100_000, pro: null },
      { name: "stateSqliteRowsWrittenPerMonth", free: null, pro: 50_000_000 },
      { name: "stateSqliteStorageBytesPerAccount", free: 5_000_000_000, pro: 5_000_000_000 },
      { name: "stateSqliteStorageBytesPerObject", free: 1_000_000_000, pro: 10_000_000_000 },
      { name: "stateKeyValueSizeBytes", free: 2_097_152, pro: 2_097_152 },
      { name: "stateWebsocketMessageBytes", free: 33_554_432, pro: 33_554_432 },
      { name: "stateAlarmDurationSeconds", free: 900, pro: 900 },
    ]);
  });

  test("names the prices of State as dotted paths into a plan", () => {
    expect(state?.pricing_fields).toEqual([
      { name: "pricing.state.requestOverageUsdMicrosPerMillion", value: 150_000 },
      { name: "pricing.state.durationOverageUsdMicrosPerMillionGbSeconds", value: 12_500_000 },
      { name: "pricing.state.sqliteRowsReadOverageUsdMicrosPerMillion", value: 1_000 },
      { name: "pricing.state.sqliteRowsWrittenOverageUsdMicrosPerMillion", value: 1_000_000 },
      { name: "pricing.state.sqliteStorageOverageUsdMicrosPerGbMonth", value: 200_000 },
    ]);
  });

  test("every path leads to its value in Pro, and to null in Free", () => {
    const at = (root: unknown, path: string): unknown =>
      path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], root);
    const fields = document.products.flatMap((p) => p.pricing_fields);
    expect(fields).toHaveLength(24);
    const [free, pro] = document.plans;
    for (const { name, value } of fields) {
      expect(at(pro, name)).toBe(value);
      expect(value).not.toBeNull();
      expect(at(free, name)).toBeNull();
    }
  });

  test("tells how to cap each meter", () => {
    expect(state?.meter_details[0]).toMatchObject({
      name: "state_requests",
      unit: "request",
      kind: "counter",
      cap_commands: {
        day: "weir limits set state_requests --period day --value <n>",
        month: "weir limits set state_requests --period month --value <n>",
      },
    });
    expect(document.products.flatMap((p) => p.meters)).toHaveLength(24);
  });

  test("plans say whether overage is billed, and hold every limit field", () => {
    expect(document.plans.map((p) => [p.key, p.paidOverages, p.subscriptionUsdMicrosPerMonth])).toEqual([
      ["free", false, 0],
      ["pro", true, 5_000_000],
    ]);
    expect(document.plans[0]?.limits).toMatchObject({ stateRequestsPerDay: 100_000, kvReadsPerDay: 100_000, sqliteDatabases: 10 });
    expect(document.plans[1]?.limits).toMatchObject({ stateRequestsPerDay: null, buildMinutesPerMonth: 6_000 });
  });
});
