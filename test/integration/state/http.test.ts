import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createKey } from "../../../src/accounts/api-key-store.ts";
import { ADMIN_KEY, openTestApp, type Answer, type TestApp } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";

const STATE = "/v1/services/service_1/state/namespaces";
const VALUES = `${STATE}/Room/objects/room-1/values`;

type Method = "GET" | "PUT" | "POST" | "DELETE";
type Json = Record<string, unknown>;

let t: TestApp;
let account: string;

beforeAll(async () => {
  t = await openTestApp();
});
afterAll(async () => {
  await t.stop();
  expect(t.troubles).toEqual([]);
});
beforeEach(async () => {
  account = await t.newAccount("free");
});

function send(method: Method, url: string, body?: Json, key = ADMIN_KEY, named: string | null = account): Promise<Answer> {
  return t.send(method, url, { key, body, ...(named === null ? {} : { account: named }) });
}

const used = async (): Promise<Record<string, number>> => {
  const { body } = await send("GET", "/v1/usage");
  return (body as { usage: { meters: { day: Record<string, number> } } }).usage.meters.day;
};

const room = () => send("POST", STATE, { name: "Room" });

describe("the State routes", () => {
  it("answer as the contract says, and count what it says", async () => {
    expect(await room()).toMatchObject({
      status: 201,
      body: { id: "state_namespace_1", name: "Room", service: "service_1", createdAt: NOON, storageBytes: 0 },
    });
    const entry = { key: "counter", valueSizeBytes: 1, createdAt: NOON, updatedAt: NOON };
    const stored = { namespace: "Room", object: "room-1", entry };
    expect(await send("PUT", `${VALUES}/counter`, { value: "1" })).toMatchObject({ status: 200, body: stored });
    expect((await send("GET", `${VALUES}/counter`)).body).toEqual({ ...stored, valueText: "1", valueBase64: "MQ==" });
    expect((await send("GET", `${STATE}/state_namespace_1/objects/room-1/values/counter`)).body).toMatchObject(stored);
    expect((await send("GET", `${STATE}/Room/objects/room-1/keys`)).body).toEqual({ keys: [entry], listComplete: true, nextCursor: null });
    expect((await send("GET", `${STATE}/Room/objects`)).body).toEqual({
      objects: [{ objectKey: "room-1", storageBytes: 12_288, createdAt: NOON, lastSeenAt: NOON }],
      nextCursor: null,
    });
    expect((await send("GET", STATE)).body).toMatchObject({
      namespaces: [{ id: "state_namespace_1", storageBytes: 12_288 }],
      nextCursor: null,
    });
    expect((await send("GET", `${VALUES}/none`)).status).toBe(404);
    // create, put, get ×2, keys, objects, list and the miss: 8 requests; get ×2, keys and objects read a row each.
    expect(await used()).toMatchObject({
      state_requests: 8,
      state_sqlite_rows_read: 4,
      state_sqlite_rows_written: 1,
      state_sqlite_storage_bytes: 12_288,
    });
    expect((await send("DELETE", `${VALUES}/counter`)).body).toEqual({
      namespace: "Room",
      object: "room-1",
      key: "counter",
      deleted: true,
    });
    expect((await send("DELETE", `${VALUES}/counter`)).body).toMatchObject({ deleted: false });
    expect(await used()).toMatchObject({ state_requests: 10, state_sqlite_rows_written: 2 });
    expect(await send("DELETE", `${STATE}/Room`)).toMatchObject({ status: 200, body: { id: "state_namespace_1", deleted: true } });
    expect(await used()).toMatchObject({ state_requests: 11, state_sqlite_storage_bytes: 0 });
    expect((await send("GET", `${VALUES}/counter`)).status).toBe(404);
  });

  it("carry bytes, and names with every kind of character", async () => {
    await room();
    const name = "😀".repeat(512);
    const url = `${STATE}/Room/objects/${encodeURIComponent(name)}/values/${encodeURIComponent("a/b?c#%2F\u{1F600}")}`;
    expect((await send("PUT", url, { value: "/wA=", encoding: "base64" })).body).toMatchObject({
      object: name,
      entry: { key: "a/b?c#%2F\u{1F600}", valueSizeBytes: 2 },
    });
    expect((await send("GET", url)).body).toMatchObject({ valueText: null, valueBase64: "/wA=" });
  });

  it.each<[string, Method, string, Json | undefined]>([
    ["a namespace in lower case", "POST", STATE, { name: "room" }],
    ["an id as a name", "POST", STATE, { name: "state_namespace_7" }],
    ["an unknown field", "POST", STATE, { name: "Hall", colour: "red" }],
    ["no value", "PUT", `${VALUES}/k`, {}],
    ["a number as a value", "PUT", `${VALUES}/k`, { value: 1 }],
    ["unpadded base64", "PUT", `${VALUES}/k`, { value: "/w", encoding: "base64" }],
    ["an unknown encoding", "PUT", `${VALUES}/k`, { value: "x", encoding: "hex" }],
    ["an object with /", "PUT", `${STATE}/Room/objects/a%2Fb/values/k`, { value: "x" }],
    ["an object of 513 characters", "PUT", `${STATE}/Room/objects/${"a".repeat(513)}/values/k`, { value: "x" }],
    ["a key with a control character", "PUT", `${VALUES}/a%0Ab`, { value: "x" }],
    ["a page of none", "GET", `${STATE}?limit=0`, undefined],
    ["a page too large", "GET", `${STATE}/Room/objects?limit=1001`, undefined],
    ["a cursor of nothing", "GET", `${STATE}?cursor=zzz`, undefined],
    ["a worker that is no URL", "PUT", "/v1/services/service_1", { workerUrl: "ftp://example.com" }],
  ])("refuse %s with 400, and count nothing", async (_, method, url, body) => {
    await room();
    const answer = await send(method, url, body);
    expect(answer).toMatchObject({ status: 400, body: { code: "validation_failed" } });
    expect(await used()).toMatchObject({ state_requests: 1 });
  });

  it("deny a write at a cap with 429, name the denial, and change nothing", async () => {
    await room();
    await send("PUT", "/v1/usage/caps/state_sqlite_rows_written", { period: "day", capValue: 2 });
    for (const value of ["1", "2"]) expect((await send("PUT", `${VALUES}/counter`, { value })).status).toBe(200);
    const before = [await used(), (await send("GET", `${STATE}/Room/objects`)).body];
    const denied = await send("PUT", `${VALUES}/counter`, { value: "3" });
    expect(denied).toMatchObject({
      status: 429,
      body: { code: "limit_exceeded", denials: [{ meter: "state_sqlite_rows_written", source: "cap", limit: 2, used: 2, requested: 1 }] },
      headers: { "content-type": expect.stringContaining("application/problem+json") as string, "retry-after": String(12 * 3_600) },
    });
    expect((await send("PUT", `${STATE}/Room/objects/room-2/values/k`, { value: "1" })).status).toBe(429);
    const requests = Number(before[0]?.["state_requests"]);
    expect(await used()).toMatchObject({ state_requests: requests + 1, state_sqlite_rows_written: 2 });
    expect((await send("GET", `${STATE}/Room/objects`)).body).toEqual(before[1]);
    expect((await send("GET", `${VALUES}/counter`)).body).toMatchObject({ valueText: "2" });
  });

  it("deny growth at a storage cap, and let it shrink", async () => {
    await room();
    await send("PUT", `${VALUES}/big`, { value: "x".repeat(500_000) });
    await send("PUT", "/v1/usage/caps/state_sqlite_storage_bytes", { period: "month", capValue: 300_000 });
    expect(await send("PUT", `${VALUES}/more`, { value: "x".repeat(100_000) })).toMatchObject({
      status: 429,
      body: { denials: [{ meter: "state_sqlite_storage_bytes" }] },
    });
    expect((await send("PUT", `${VALUES}/big`, { value: "x".repeat(400_000) })).status).toBe(200);
    expect((await send("DELETE", `${VALUES}/big`)).status).toBe(200);
    expect((await send("PUT", `${VALUES}/more`, { value: "x".repeat(100_000) })).status).toBe(200);
  });

  it("take 2 MiB of key and value to the byte, and not one more", async () => {
    await room();
    const most = 2_097_152 - "big".length;
    expect((await send("PUT", `${VALUES}/big`, { value: "\u0001".repeat(most) })).status).toBe(200);
    const before = await used();
    const denied = await send("PUT", `${VALUES}/big`, { value: "x".repeat(most + 1) });
    expect(denied).toMatchObject({
      status: 413,
      body: { code: "payload_too_large", denials: [{ meter: null, scope: "request", source: "ceiling", limit: 2_097_152 }] },
    });
    expect(await used()).toEqual(before);
    expect((await send("GET", `${STATE}/Room/objects/room-1/keys`)).body).toMatchObject({ keys: [{ key: "big", valueSizeBytes: most }] });
  });

  it("stop at the plan's 100 classes", async () => {
    const answers = await Promise.all(Array.from({ length: 110 }, (_, n) => send("POST", STATE, { name: `Room${n}` })));
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([
      ...Array<number>(100).fill(201),
      ...Array<number>(10).fill(429),
    ]);
    const denied = answers.find((answer) => answer.status === 429);
    expect(denied?.body).toMatchObject({
      code: "limit_exceeded",
      denials: [{ meter: null, source: "ceiling", limit: 100, used: 100, retryable: false }],
    });
    expect(await used()).toMatchObject({ state_requests: 100 });
  });
});

describe("keys and accounts", () => {
  it("keep accounts apart, and let read_only keys read only", async () => {
    await room();
    await send("PUT", `${VALUES}/counter`, { value: "1" });
    const now = t.engine.clock.now();
    const wanted = { account, name: null, expiresAt: null };
    const reader = (await createKey(t.engine.db, { ...wanted, scope: "read_only" }, now)).key;
    const owner = (await createKey(t.engine.db, { ...wanted, scope: "account" }, now)).key;
    await send("PUT", "/v1/accounts/acct_other", { plan: "free" });
    const stranger = (await createKey(t.engine.db, { ...wanted, account: "acct_other", scope: "account" }, now)).key;

    expect((await send("GET", `${VALUES}/counter`, undefined, reader, null)).status).toBe(200);
    for (const [method, url, body] of [
      ["PUT", `${VALUES}/counter`, { value: "2" }],
      ["DELETE", `${VALUES}/counter`, undefined],
      ["POST", STATE, { name: "Hall" }],
      ["DELETE", `${STATE}/Room`, undefined],
      ["PUT", "/v1/services/service_1", {}],
    ] as const) {
      expect(await send(method, url, body, reader, null)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    }
    expect((await send("PUT", `${VALUES}/counter`, { value: "2" }, owner, null)).status).toBe(200);
    for (const url of [`${VALUES}/counter`, `${STATE}/Room/objects`, `${STATE}/state_namespace_1/objects/room-1/keys`]) {
      expect((await send("GET", url, undefined, stranger, null)).status).toBe(404);
    }
    expect((await send("GET", `${VALUES}/counter`, undefined, stranger, account)).status).toBe(404);
  });

  it("answer 404 for an account that does not exist, and 401 without a key", async () => {
    for (const [method, url, body] of [
      ["GET", STATE, undefined],
      ["POST", STATE, { name: "Room" }],
      ["PUT", `${VALUES}/k`, { value: "1" }],
      ["PUT", "/v1/services/service_1", {}],
      ["GET", "/v1/services/service_1", undefined],
    ] as const) {
      expect(await send(method, url, body, ADMIN_KEY, "acct_nobody")).toMatchObject({ status: 404, body: { code: "not_found" } });
      expect((await send(method, url, body, "no-such-key")).status).toBe(401);
    }
  });
});

describe("services", () => {
  it("are set up, changed and read", async () => {
    const url = "/v1/services/service_1";
    expect((await send("GET", url)).status).toBe(404);
    const service = { service: "service_1", workerUrl: "https://worker.example/hook", createdAt: NOON };
    expect(await send("PUT", url, { workerUrl: service.workerUrl })).toMatchObject({ status: 200, body: service });
    expect((await send("PUT", url, {})).body).toEqual(service);
    expect((await send("GET", url)).body).toEqual(service);
    expect((await send("PUT", url, { workerUrl: null })).body).toMatchObject({ workerUrl: null });
  });
});
