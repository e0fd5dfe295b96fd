import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMeter, type CheckRequest, type Meter } from "weir/client";
import * as forExpress from "../../../examples/express.ts";
import * as forFastify from "../../../examples/fastify.ts";
import * as forHono from "../../../examples/hono.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { ROOT } from "../../support/tools.ts";

const LINES_MAX = 20;
const ROWS = "state_sqlite_rows_written";

let t: TestApp;
let url: string;
beforeAll(async () => {
  t = await openTestApp();
  url = await t.app.listen({ port: 0, host: "127.0.0.1" });
});
afterAll(() => t.stop());

interface Answer {
  status: number;
  retryAfter: string | null;
  body: unknown;
}

/** A data plane of one route, `PUT /rooms/{account}/{room}`, which writes into `written`. */
interface Plane {
  put(account: string, room: string): Promise<Answer>;
  written: string[];
  stop(): Promise<unknown>;
}

const operation = (account: string, room: string): CheckRequest => ({
  account,
  service: "service_1",
  namespace: "Room",
  object: room,
  usage: { state_requests: 1, [ROWS]: 1 },
  payloadBytes: room.length,
});

const answerOf = async (response: Response): Promise<Answer> => {
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  const body: unknown = isJson ? await response.json() : await response.text();
  return { status: response.status, retryAfter: response.headers.get("retry-after"), body };
};
const put = async (at: string, account: string, room: string): Promise<Answer> =>
  answerOf(await fetch(`${at}/rooms/${account}/${room}`, { method: "PUT" }));

const frameworks: Record<string, (meter: Meter) => Promise<Plane>> = {
  fastify: async (meter) => {
    const app = fastify();
    const written: string[] = [];
    const preHandler = forFastify.metered(meter, ({ params }) => {
      const { account, room } = params as { account: string; room: string };
      return operation(account, room);
    });
    app.put<{ Params: { room: string } }>("/rooms/:account/:room", { preHandler }, ({ params }) => ({
      written: written.push(params.room),
    }));
    const at = await app.listen({ port: 0, host: "127.0.0.1" });
    return { written, put: (account, room) => put(at, account, room), stop: () => app.close() };
  },
  express: async (meter) => {
    // In a test environment it does not print errors.
    const app = express().set("env", "test");
    const written: string[] = [];
    const before = forExpress.metered(meter, ({ params }) => operation(String(params["account"]), String(params["room"])));
    app.put("/rooms/:account/:room", before, (request, response) => {
      response.json({ written: written.push(String(request.params["room"])) });
    });
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    return { written, put: (account, room) => put(at, account, room), stop };
  },
  hono: (meter) => {
    const app = new Hono();
    // It prints errors, unless there is a handler.
    app.onError((_, context) => context.text("error", 500));
    const written: string[] = [];
    const before = forHono.metered(meter, ({ req }) => operation(String(req.param("account")), String(req.param("room"))));
    app.put("/rooms/:account/:room", before, (context) => context.json({ written: written.push(context.req.param("room")) }));
    return Promise.resolve({
      written,
      put: async (account, room) => answerOf(await app.request(`/rooms/${account}/${room}`, { method: "PUT" })),
      stop: () => Promise.resolve(),
    });
  },
};

describe.each(Object.entries(frameworks))("a data plane on %s", (name, open) => {
  let meter: Meter;
  let plane: Plane;
  /** True: nothing is heard of Weir. */
  let away = false;
  beforeAll(async () => {
    const send: typeof fetch = (...call) => (away ? Promise.reject(new TypeError("fetch failed")) : fetch(...call));
    meter = createMeter({ url, key: ADMIN_KEY, fetch: send });
    plane = await open(meter);
  });
  afterAll(async () => {
    away = false;
    await plane.stop();
    await meter.close();
  });

  const refused = (status: number, code: string) => ({ status, body: expect.objectContaining({ status, code }) as unknown });

  test("is metered in at most 20 lines", () => {
    const lines = readFileSync(join(ROOT, "examples", `${name}.ts`), "utf8")
      .trimEnd()
      .split("\n");
    expect(lines.length).toBeLessThanOrEqual(LINES_MAX);
  });

  test("writes what is allowed and counted, and nothing past the cap", async () => {
    const account = await t.newAccount();
    const from = plane.written.length;
    await t.cap(account, ROWS, "day", 2);
    for (const room of ["a", "b"]) expect(await plane.put(account, room)).toMatchObject({ status: 200 });
    const third = await plane.put(account, "c");
    expect(third).toMatchObject(refused(429, "limit_exceeded"));
    expect(third.body).toMatchObject({ denials: [{ meter: ROWS, limit: 2, used: 2, requested: 1 }] });
    expect(third.retryAfter).toBe("Sun, 22 Nov 2026 00:00:00 GMT");
    expect(plane.written.slice(from)).toEqual(["a", "b"]);
    const { body } = await t.send("GET", "/v1/usage", { account });
    expect(body).toMatchObject({ usage: { meters: { day: { state_requests: 2, [ROWS]: 2 } } } });
  });

  test("writes nothing, and says when to come again, while Weir is away", async () => {
    const account = await t.newAccount();
    const from = plane.written.length;
    away = true;
    expect(await plane.put(account, "a")).toMatchObject({ ...refused(503, "unavailable"), retryAfter: "1" });
    expect(plane.written).toHaveLength(from);
    away = false;
    expect(await plane.put(account, "a")).toMatchObject({ status: 200 });
  });

  test("writes nothing where the question is wrong", async () => {
    const from = plane.written.length;
    expect(await plane.put("acct_nobody", "a")).toMatchObject({ status: 500 });
    expect(plane.written).toHaveLength(from);
  });
});

test("a payload over its ceiling is refused for ever: no time is named at which to come again", async () => {
  const meter = createMeter({ url, key: ADMIN_KEY });
  const app = new Hono();
  const account = await t.newAccount();
  const before = forHono.metered(meter, () => ({ ...operation(account, "room"), payloadBytes: 2_097_153 }));
  app.put("/", before, (context) => context.json({ written: 1 }));
  const { status, body, retryAfter } = await answerOf(await app.request("/", { method: "PUT" }));
  expect({ status, retryAfter }).toEqual({ status: 413, retryAfter: null });
  expect(body).toMatchObject({ code: "payload_too_large" });
  await meter.close();
});
