import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openTestApp, type Answer, type TestApp } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";
import { startReceiver, type Receiver } from "../../support/receiver.ts";

const SERVICE = "/v1/services/service_1";
const NAMESPACES = `${SERVICE}/state/namespaces`;
const ALARM = `${NAMESPACES}/Room/objects/room-1/alarm`;
const MINUTE_MS = 60_000;

let t: TestApp;
let account: string;
let worker: Receiver;
/** What the worker does with the call it got; 204 unless a test says otherwise. */
let handle: (response: ServerResponse, before: number) => void;

beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

beforeEach(async () => {
  account = await t.newAccount("free");
  handle = (response) => void response.writeHead(204).end();
  worker = await startReceiver((response, before) => handle(response, before));
  expect((await send("POST", NAMESPACES, { name: "Room" })).status).toBe(201);
  expect((await send("PUT", SERVICE, { workerUrl: worker.url })).status).toBe(200);
});
afterEach(() => worker.stop());

const send = (method: "GET" | "PUT" | "POST" | "DELETE", url: string, body?: unknown): Promise<Answer> =>
  t.send(method, url, body === undefined ? { account } : { account, body });

const fails = (response: ServerResponse): void => void response.writeHead(500).end();
const told = (n: number): Record<string, unknown> => JSON.parse(worker.received[n]?.body ?? "{}") as Record<string, unknown>;

/** The account's counters of today. */
async function used(): Promise<Record<string, number>> {
  const { body } = await send("GET", "/v1/usage");
  return (body as { usage: { meters: { day: Record<string, number> } } }).usage.meters.day;
}

/** How often the worker was called after another `ms` of time. */
async function after(ms: number): Promise<number> {
  t.clock.advance(ms);
  await t.state.alarms.deliverDue();
  return worker.received.length;
}

const inAMinute = (): Promise<Answer> => send("PUT", ALARM, { delaySeconds: 60 });

describe("an alarm", () => {
  test("is one an object: set, read, set again, deleted", async () => {
    const now = t.clock.now();
    const at = (ms: number): string => new Date(now + ms).toISOString();
    const none = { namespace: "Room", object: "room-1", scheduledAt: null, scheduledAtUnixMs: null, nextAttemptAt: null };
    expect((await send("GET", ALARM)).body).toEqual({ ...none, retryCount: 0, lastError: null });
    const first = { ...none, scheduledAt: at(60_000), scheduledAtUnixMs: now + 60_000, nextAttemptAt: at(60_000), retryCount: 0 };
    expect(await inAMinute()).toMatchObject({ status: 200, body: { ...first, lastError: null } });
    expect((await send("GET", ALARM)).body).toMatchObject(first);
    expect((await send("PUT", ALARM, { scheduledAt: at(5_000) })).body).toMatchObject({ scheduledAt: at(5_000) });
    expect((await send("PUT", ALARM, { scheduledAtUnixMs: now + 7_000 })).body).toMatchObject({ scheduledAt: at(7_000) });
    expect((await send("DELETE", ALARM)).body).toEqual({ namespace: "Room", object: "room-1", deleted: true });
    expect((await send("DELETE", ALARM)).body).toMatchObject({ deleted: false });
    expect((await send("GET", ALARM)).body).toMatchObject(none);
    // The namespace, three reads, three settings, two deletions.
    expect(await used()).toMatchObject({ state_requests: 9, state_sqlite_rows_read: 3, state_sqlite_rows_written: 5 });
    expect(await after(MINUTE_MS)).toBe(0);
  });

  test.each<[string, unknown]>([
    ["no time", {}],
    ["two times", { delaySeconds: 1, scheduledAtUnixMs: 1 }],
    ["a negative delay", { delaySeconds: -1 }],
    ["half a second", { delaySeconds: 0.5 }],
    ["a delay in text", { delaySeconds: "60" }],
    ["eleven years", { delaySeconds: 346_896_000 }],
    ["no instant", { scheduledAt: "tomorrow" }],
    ["a day that is not", { scheduledAt: "2026-02-30T00:00:00Z" }],
    ["more than it knows", { delaySeconds: 1, message: "hello" }],
  ])("refuses %s, and counts nothing", async (_, body) => {
    expect(await send("PUT", ALARM, body)).toMatchObject({ status: 400, body: { code: "validation_failed" } });
    expect(await used()).toMatchObject({ state_requests: 1 });
  });

  test("belongs to its account, and a read_only key only reads it", async () => {
    await inAMinute();
    const other = await t.key("account", await t.newAccount());
    const reader = await t.key("read_only", account);
    for (const method of ["GET", "DELETE"] as const) expect((await t.send(method, ALARM, { key: other })).status).toBe(404);
    expect((await t.send("PUT", ALARM, { key: other, body: { delaySeconds: 1 } })).status).toBe(404);
    expect((await t.send("GET", ALARM, { key: reader })).status).toBe(200);
    expect((await t.send("PUT", ALARM, { key: reader, body: { delaySeconds: 1 } })).status).toBe(403);
    expect((await t.send("DELETE", ALARM, { key: reader })).status).toBe(403);
  });

  test("goes with its namespace", async () => {
    await inAMinute();
    expect((await send("DELETE", `${NAMESPACES}/Room`)).status).toBe(200);
    expect(await after(MINUTE_MS)).toBe(0);
    expect((await send("GET", ALARM)).status).toBe(404);
    await send("POST", NAMESPACES, { name: "Room" });
    expect((await send("GET", ALARM)).body).toMatchObject({ scheduledAt: null });
  });
});

describe("a delivery", () => {
  test("is one POST below the worker's own path, with the names escaped, when it is due and not before", async () => {
    await send("PUT", SERVICE, { workerUrl: `${worker.url}/app/?v=1` });
    const object = "räum #1?";
    const url = `${NAMESPACES}/Room/objects/${encodeURIComponent(object)}/alarm`;
    const { body: set } = await send("PUT", url, { delaySeconds: 60 });
    expect(await after(59_999)).toBe(0);
    expect(await after(1)).toBe(1);
    expect(worker.received[0]?.path).toBe(`/app/.weir/state/Room/${encodeURIComponent(object)}/alarm?v=1`);
    expect(worker.received[0]?.headers).toMatchObject({ "content-type": "application/json" });
    expect(told(0)).toEqual({
      account,
      service: "service_1",
      namespace: "Room",
      object,
      alarmId: expect.stringMatching(/^alm_/) as string,
      scheduledAt: set["scheduledAt"],
      scheduledAtUnixMs: set["scheduledAtUnixMs"],
      retryCount: 0,
      isRetry: false,
    });
    expect((await send("GET", url)).body).toMatchObject({ scheduledAt: null });
    expect(await after(MINUTE_MS)).toBe(1);
  });

  test("in the past is due at once, also to the second of now", async () => {
    await send("PUT", ALARM, { scheduledAt: NOON });
    expect(await after(0)).toBe(1);
    await send("PUT", ALARM, { delaySeconds: 0 });
    expect(await after(0)).toBe(2);
  });

  test("that fails is retried after 2, 4, 8, 16, 32 and 64 s, then cleared", async () => {
    handle = fails;
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(1);
    const { alarmId } = told(0);
    for (const [retry, wait] of [2, 4, 8, 16, 32, 64].entries()) {
      expect((await send("GET", ALARM)).body).toMatchObject({
        retryCount: retry + 1,
        lastError: "bad_status",
        nextAttemptAt: new Date(t.clock.now() + wait * 1_000).toISOString(),
      });
      expect(await after(wait * 1_000 - 1)).toBe(retry + 1);
      expect(await after(1)).toBe(retry + 2);
      expect(told(retry + 1)).toMatchObject({ alarmId, retryCount: retry + 1, isRetry: true });
    }
    expect((await send("GET", ALARM)).body).toMatchObject({ scheduledAt: null });
    expect(await after(60 * MINUTE_MS)).toBe(7);
  });

  test.each<[string, (response: ServerResponse) => void, string]>([
    ["a redirect", (response) => void response.writeHead(302, { location: worker.url }).end(), "redirect"],
    ["a connection that breaks", (response) => void response.destroy(), "connection_reset"],
    ["404", (response) => void response.writeHead(404).end(), "bad_status"],
  ])("that ends with %s has failed", async (_, ends, lastError) => {
    handle = ends;
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(1);
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 1, lastError });
  });

  test("reads no more of an endless answer than it needs", async () => {
    handle = (response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    };
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(1);
    expect((await send("GET", ALARM)).body).toMatchObject({ scheduledAt: null });
  });

  test("that has its handler set the next alarm leaves that one, and never runs two handlers of an object at once", async () => {
    let running = 0;
    let most = 0;
    handle = (response) => {
      running += 1;
      most = Math.max(most, running);
      void send("PUT", ALARM, { delaySeconds: worker.received.length < 3 ? 0 : 60 }).then(async () => {
        // What it has set is due already: another look must not deliver it beside this one.
        await new Promise((resolve) => setTimeout(resolve, 300));
        running -= 1;
        response.writeHead(204).end();
      });
    };
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(3);
    expect(most).toBe(1);
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 0, lastError: null });
    expect((await send("GET", ALARM)).body["scheduledAt"]).toBe(new Date(t.clock.now() + 60_000).toISOString());
  });

  test("whose alarm is deleted while its handler runs is not retried", async () => {
    handle = (response) => void send("DELETE", ALARM).then(() => fails(response));
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(1);
    expect((await send("GET", ALARM)).body).toMatchObject({ scheduledAt: null });
    expect(await after(MINUTE_MS)).toBe(1);
  });

  test("waits for a worker, and goes out as soon as there is one", async () => {
    await send("PUT", SERVICE, { workerUrl: null });
    await inAMinute();
    expect(await after(MINUTE_MS)).toBe(0);
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 0, lastError: "no_worker" });
    await send("PUT", SERVICE, { workerUrl: worker.url });
    expect(await after(0)).toBe(1);
  });

  test("takes 15 minutes at most, by the clock; then it is cut, counted and retried", async () => {
    handle = () => undefined;
    await inAMinute();
    const before = await used();
    t.clock.advance(MINUTE_MS);
    const run = t.state.alarms.deliverDue();
    await worker.until(1);
    t.clock.advance(15 * MINUTE_MS - 1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 0, lastError: null });
    t.clock.advance(1);
    await run;
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 1, lastError: "timeout" });
    const then = await used();
    expect((then["state_duration_gb_milliseconds"] ?? 0) - (before["state_duration_gb_milliseconds"] ?? 0)).toBe(900 * 128);
    handle = (response) => void response.writeHead(200).end();
    expect(await after(2_000)).toBe(2);
    expect((await send("GET", ALARM)).body).toMatchObject({ scheduledAt: null });
  });

  test("to a worker that hangs keeps no other service waiting", async () => {
    const open: ServerResponse[] = [];
    handle = (response) => void open.push(response);
    for (let n = 0; n < 20; n += 1) await send("PUT", `${NAMESPACES}/Room/objects/o${n}/alarm`, { delaySeconds: 60 });
    const quick = await startReceiver((response) => void response.writeHead(204).end());
    try {
      await send("PUT", "/v1/services/service_2", { workerUrl: quick.url });
      await send("POST", "/v1/services/service_2/state/namespaces", { name: "Room" });
      await send("PUT", "/v1/services/service_2/state/namespaces/Room/objects/o/alarm", { delaySeconds: 61 });
      t.clock.advance(2 * MINUTE_MS);
      const run = t.state.alarms.deliverDue();
      await Promise.all([quick.until(1), worker.until(16)]);
      // The hanging worker has no more than its share in hand, however often is looked.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(worker.received.length).toBe(16);
      handle = (response) => void response.writeHead(204).end();
      for (const response of open) response.writeHead(204).end();
      await run;
      expect(worker.received.length).toBe(20);
    } finally {
      await quick.stop();
    }
  });
});

describe("a delivery that a limit denies", () => {
  test("is put off, not lost and not counted, and goes out once the cap is lifted", async () => {
    await inAMinute();
    await send("PUT", "/v1/usage/caps/state_requests", { period: "day", capValue: 2 });
    const before = await used();
    expect(await after(MINUTE_MS)).toBe(0);
    expect(await used()).toEqual(before);
    expect((await t.send("GET", "/v1/usage/caps", { account })).status).toBe(200);
    for (let n = 0; n < 10; n += 1) expect(await after(MINUTE_MS)).toBe(0);
    await send("DELETE", "/v1/usage/caps/state_requests/day");
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 0, lastError: "limit_exceeded" });
    expect(await after(0)).toBe(1);
    expect(told(0)).toMatchObject({ retryCount: 0, isRetry: false });
  });

  test("goes out at the reset by itself", async () => {
    await inAMinute();
    await send("PUT", "/v1/usage/caps/state_requests", { period: "day", capValue: 2 });
    expect(await after(MINUTE_MS)).toBe(0);
    t.clock.set(Math.ceil(t.clock.now() / 86_400_000) * 86_400_000);
    expect(await after(0)).toBe(1);
  });

  test("denied its time, the handler is cut within what is left, and the limit is not passed", async () => {
    const handlers: ServerResponse[] = [];
    handle = (response) => void handlers.push(response);
    await send("PUT", "/v1/usage/caps/state_duration_gb_milliseconds", { period: "day", capValue: 1_000 });
    await inAMinute();
    t.clock.advance(MINUTE_MS);
    const run = t.state.alarms.deliverDue();
    await worker.until(1);
    t.clock.advance(5_000);
    await new Promise((resolve) => setTimeout(resolve, 600));
    t.clock.advance(5_000);
    await run;
    expect(await used()).toMatchObject({ state_duration_gb_milliseconds: 1_000 });
    expect((await send("GET", ALARM)).body).toMatchObject({ retryCount: 0, lastError: "limit_exceeded" });
    await send("DELETE", "/v1/usage/caps/state_duration_gb_milliseconds/day");
    handle = (response) => void response.writeHead(204).end();
    expect(await after(0)).toBe(2);
  });
});
