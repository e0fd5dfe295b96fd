import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { operationUsage } from "../../src/catalog/operation.ts";
import type { OperationFacts } from "../../src/catalog/operation.ts";
import { defaultCatalog, mergeCatalog, withShippedOperations } from "../../src/catalog/parse.ts";

const catalog = defaultCatalog();

const request = { state_requests: 1 };
const read = (rows: number) => ({ state_requests: 1, state_sqlite_rows_read: rows });
const written = (rows: number) => ({ state_requests: 1, state_sqlite_rows_written: rows });
const duration = (gbMs: number) => ({ state_duration_gb_milliseconds: gbMs });

describe("what an operation counts", () => {
  test.each<[string, OperationFacts, Record<string, number>]>([
    ["put", {}, written(1)],
    ["get", { hit: true }, read(1)],
    ["get", { hit: false }, request],
    ["get", {}, read(1)],
    ["keys", { rows: 0 }, read(1)],
    ["keys", { rows: 1 }, read(1)],
    ["keys", { rows: 2_500 }, read(2_500)],
    ["objects", { rows: 0 }, read(1)],
    ["objects", { rows: 42 }, read(42)],
    ["delete-value", { hit: true }, written(1)],
    ["delete-value", { hit: false }, request],
    ["clear", { rows: 3 }, written(3)],
    ["clear", { rows: 0 }, written(1)],
    ["namespace-list", {}, request],
    ["namespace-create", {}, request],
    ["namespace-delete", {}, request],
    ["alarm-set", {}, written(1)],
    ["alarm-get", {}, read(1)],
    ["alarm-delete", {}, written(1)],
    ["alarm-delivery", {}, request],
    ["websocket-open", {}, request],
    ["websocket-message", {}, request],
    ["websocket-message", { messages: 20 }, request],
    ["websocket-message", { messages: 21 }, { state_requests: 2 }],
    ["websocket-message", { messages: 1, messagesBefore: 19 }, {}],
    ["websocket-message", { messages: 1, messagesBefore: 20 }, request],
    ["websocket-message", { messages: 0 }, {}],
    ["duration", { wallMs: 1_000 }, duration(128)],
    ["duration", { wallMs: 1 }, duration(1)], // 0.128, counted from its start
    ["duration", { wallMs: 7 }, duration(1)], // 0.896
    ["duration", { wallMs: 8 }, duration(2)], // 1.024
    ["duration", { wallMs: 2_592_000_000 }, duration(331_776_000)], // 30 days awake: 331,776 GB-s
  ])("%s %o", (operation, facts, usage) => {
    expect(operationUsage(catalog, operation, facts)).toEqual(usage);
  });

  test.each(["nope", "", "constructor", "__proto__", "PUT"])("%j is no operation", (operation) => {
    expect(() => operationUsage(catalog, operation)).toThrow(/operation: must be one of put, get/);
  });

  test.each<[string, OperationFacts]>([
    ["keys", { rows: -1 }],
    ["keys", { rows: 1.5 }],
    ["keys", { rows: Number.NaN }],
    ["duration", { wallMs: 2 ** 53 }],
    ["websocket-message", { messagesBefore: Number.MAX_SAFE_INTEGER, messages: 1 }],
  ])("%s with %o is refused", (operation, facts) => {
    expect(() => operationUsage(catalog, operation, facts)).toThrow(/integer/);
  });

  test("a file may count an operation otherwise, or add one", () => {
    const changed = mergeCatalog(catalog, {
      operations: {
        put: { usage: { state_requests: 1, state_sqlite_rows_written: { fact: "rows", multiplyBy: 2 } } },
        upload: { usage: { object_storage_class_a_operations: 1 } },
      },
    });
    expect(operationUsage(changed, "put", { rows: 3 })).toEqual({ state_requests: 1, state_sqlite_rows_written: 6 });
    expect(operationUsage(changed, "upload")).toEqual({ object_storage_class_a_operations: 1 });
  });

  test("a document that was applied before an operation existed gains it, and keeps what it counts otherwise", () => {
    const { clear: _, ...older } = catalog.operations;
    const put = { description: "", usage: { state_requests: 2 } };
    const loaded = withShippedOperations({ ...catalog, operations: { ...older, put } });
    expect(operationUsage(loaded, "clear", { rows: 3 })).toEqual(written(3));
    expect(operationUsage(loaded, "put")).toEqual({ state_requests: 2 });
  });

  test("messages and time reported in parts count what they count at once", () => {
    const parts = fc.array(fc.nat(10_000), { maxLength: 30 });
    fc.assert(
      fc.property(parts, (list) => {
        let messages = 0;
        let requests = 0;
        let gbMs = 0;
        for (const part of list) {
          requests += operationUsage(catalog, "websocket-message", { messages: part, messagesBefore: messages })["state_requests"] ?? 0;
          gbMs += operationUsage(catalog, "duration", { wallMs: part, wallMsBefore: messages })["state_duration_gb_milliseconds"] ?? 0;
          messages += part;
        }
        expect(requests).toBe(Math.ceil(messages / 20));
        expect(gbMs).toBe(Math.ceil((messages * 128) / 1000));
      }),
    );
  });
});
