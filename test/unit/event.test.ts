import { describe, expect, it } from "vitest";
import { defaultCatalog } from "../../src/catalog/parse.ts";
import { isRejected, readEvent } from "../../src/gate/event.ts";
import { dateEvents } from "../../src/gate/event-lines.ts";

const NOW = Date.parse("2026-11-21T12:34:56.789Z");
const HOUR = 3_600_000;
const catalog = defaultCatalog();

const EVENT = {
  specversion: "1.0",
  type: "weir.usage",
  source: "gateway-1",
  id: "e1",
  subject: "acct_1",
  data: { service: "api", namespace: "Room", usage: { state_requests: 3 } },
};

const read = (item: unknown, realm = "") => readEvent(catalog, realm, item, 0, NOW);
const parsed = (text: string) => read(JSON.parse(text));
const withUsage = (quantity: string) => JSON.stringify({ ...EVENT, data: { usage: { state_requests: "Q" } } }).replace('"Q"', quantity);

describe("an event", () => {
  it("is read with its key, its place and its quantities", () => {
    expect(read({ ...EVENT, datacontenttype: "application/json", traceparent: "00-x", time: null })).toMatchObject({
      account: "acct_1",
      at: NOW,
      late: false,
      service: "api",
      namespace: "Room",
      object: null,
      usage: [["state_requests", 3]],
    });
  });

  it("is known by source and id, and by whom its sender speaks for", () => {
    const keys = [
      read(EVENT),
      read({ ...EVENT, source: "gateway-1e", id: "1" }),
      read({ ...EVENT, id: "e2" }),
      read(EVENT, "acct_1"),
      read(EVENT, "acct_2"),
    ].map((e) => (isRejected(e) ? null : e.key));
    expect(new Set(keys).size).toBe(5);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(read({ ...EVENT, subject: "acct_9", data: { usage: {} } })).toMatchObject({ key: keys[0] });
  });

  it.each([
    ["no object", 42],
    ["null", null],
    ["an array", [EVENT]],
    ["another version", { ...EVENT, specversion: "0.3" }],
    ["another type", { ...EVENT, type: "weir.other" }],
    ["no id", { ...EVENT, id: undefined }],
    ["an empty id", { ...EVENT, id: "" }],
    ["an id of 256 characters", { ...EVENT, id: "x".repeat(256) }],
    ["an id with a control character", { ...EVENT, id: "a\0b" }],
    ["an id with half a character", { ...EVENT, id: "a\ud800" }],
    ["no source", { ...EVENT, source: undefined }],
    ["a source of 256 characters", { ...EVENT, source: "x".repeat(256) }],
    ["a subject that cannot be an account", { ...EVENT, subject: "a b" }],
    ["no subject", { ...EVENT, subject: undefined }],
    ["no data", { ...EVENT, data: undefined }],
    ["data that says nothing", { ...EVENT, data: { service: "s" } }],
    ["data with a misspelled member", { ...EVENT, data: { usages: { state_requests: 1 }, usage: {} } }],
    ["an unknown meter", { ...EVENT, data: { usage: { no_such_meter: 1 } } }],
    ["what every object inherits", { ...EVENT, data: { usage: { constructor: 1 } } }],
    ["a gauge as usage", { ...EVENT, data: { usage: { state_sqlite_storage_bytes: 1 } } }],
    ["a time without a zone", { ...EVENT, time: "2026-11-21T12:00:00" }],
    ["a day that does not exist", { ...EVENT, time: "2026-11-31T12:00:00Z" }],
    ["a time that is a number", { ...EVENT, time: NOW }],
  ])("is refused with %s", (_, item) => {
    expect(read(item)).toMatchObject({ index: 0, code: "validation_failed", detail: expect.stringMatching(/.+/) });
  });

  it("takes ids of 255 characters outside the basic plane", () => {
    expect(isRejected(read({ ...EVENT, id: "😀".repeat(255) }))).toBe(false);
    expect(isRejected(read({ ...EVENT, id: "😀".repeat(256) }))).toBe(true);
  });

  it.each(["9007199254740992", "1e400", "-1", "0.5", '"1"', "null", "[1]", "true", "9007199254740991.5"])(
    "refuses the quantity %s",
    (quantity) => {
      expect(parsed(withUsage(quantity))).toMatchObject({ code: "validation_failed" });
    },
  );

  it.each([
    ["9007199254740991", [["state_requests", 9007199254740991]]],
    ["1e3", [["state_requests", 1000]]],
    ["0", []],
    ["-0", []],
  ])("takes the quantity %s", (quantity, usage) => {
    expect(parsed(withUsage(quantity))).toMatchObject({ usage });
  });

  it.each([
    [-24 * HOUR, -24 * HOUR, false],
    [-24 * HOUR - 1, -24 * HOUR - 1, true],
    [0, 0, false],
    [1, 0, false],
    [300_000, 0, false],
  ])("at now %d ms counts at now %d ms, late: %s", (offset, at, late) => {
    expect(read({ ...EVENT, time: new Date(NOW + offset).toISOString() })).toMatchObject({ at: NOW + at, late });
  });

  it("is refused a millisecond further in the future than five minutes", () => {
    expect(read({ ...EVENT, time: new Date(NOW + 300_001).toISOString() })).toMatchObject({ code: "validation_failed" });
  });
});

describe("its bucket", () => {
  const at = (time: string) => {
    const event = readEvent(catalog, "", { ...EVENT, time }, 0, Date.parse("2026-12-01T10:00:00Z"));
    if (isRejected(event)) throw new Error(event.detail);
    return event;
  };
  const buckets = (timezone: string, times: string[]) =>
    dateEvents(times.map(at), { anchorDay: 1, timezone }).map(({ lines, month }) => [
      new Date(lines[0]?.bucket ?? 0).toISOString(),
      new Date(month.start).toISOString(),
    ]);

  it("is its own hour, cut where the account's month begins", () => {
    // December begins in Kolkata at 18:30 UTC on the 30th.
    expect(
      buckets("Asia/Kolkata", ["2026-11-30T18:29:59.999Z", "2026-11-30T18:30:00Z", "2026-11-30T18:59:59.999Z", "2026-11-30T19:00:00Z"]),
    ).toEqual([
      ["2026-11-30T18:00:00.000Z", "2026-10-31T18:30:00.000Z"],
      ["2026-11-30T18:30:00.000Z", "2026-11-30T18:30:00.000Z"],
      ["2026-11-30T18:30:00.000Z", "2026-11-30T18:30:00.000Z"],
      ["2026-11-30T19:00:00.000Z", "2026-11-30T18:30:00.000Z"],
    ]);
    expect(buckets("UTC", ["2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00+00:00", "2026-12-01T05:30:00+05:30"])).toEqual([
      ["2026-11-30T23:00:00.000Z", "2026-11-01T00:00:00.000Z"],
      ["2026-12-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"],
      ["2026-12-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"],
    ]);
  });
});
