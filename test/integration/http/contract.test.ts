import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERROR_CATALOG, toProblem, WeirError, type ErrorCode } from "../../../src/kernel/errors.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const METER = "state_requests";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

describe("an id that nothing has, whatever it looks like, is not found", () => {
  it.each<["GET" | "POST" | "DELETE", string]>([
    ["GET", "/v1/webhooks/nope"],
    ["DELETE", "/v1/webhooks/nope"],
    ["POST", "/v1/webhooks/nope/test"],
    ["POST", "/v1/webhooks/nope/rotate"],
    ["GET", "/v1/webhooks/nope/deliveries"],
    ["POST", "/v1/webhooks/wh_00000000000000000000/deliveries/nope/replay"],
    ["DELETE", "/v1/keys/nope"],
    ["DELETE", "/v1/accounts/ACCOUNT/keys/nope"],
    ["GET", "/v1/invoices/nope"],
    ["POST", "/v1/reservations/nope/settle"],
    ["DELETE", "/v1/usage/caps/nope/day"],
    ["GET", "/v1/usage/history?meter=nope"],
  ])("%s %s", async (method, url) => {
    const account = await t.newAccount();
    const answer = await t.send(method, url.replace("ACCOUNT", account), { account });
    expect([answer.status, answer.body["code"]]).toEqual([404, "not_found"]);
  });

  it.each(["%00", "a%20b"])("but %s is no id", async (id) => {
    const account = await t.newAccount();
    expect((await t.send("GET", `/v1/webhooks/${id}`, { account })).status).toBe(400);
  });
});

describe("lists", () => {
  it("of accounts begin with the newest, and page on", async () => {
    t.clock.advance(60_000);
    const made: string[] = [];
    for (const name of ["c", "a", "b"]) {
      t.clock.advance(1);
      await t.send("PUT", `/v1/accounts/listed-${name}`, { body: {} });
      made.unshift(`listed-${name}`);
    }
    await t.send("PUT", "/v1/accounts/listed-0", { body: {} });
    // Made in the same moment as the one before: by id.
    const expected = ["listed-0", ...made];
    const found: string[] = [];
    let cursor = "";
    while (found.length < expected.length) {
      const { body } = await t.send("GET", `/v1/accounts?limit=2${cursor}`);
      found.push(...(body["accounts"] as { account: string }[]).map(({ account }) => account));
      cursor = `&cursor=${String(body["nextCursor"])}`;
    }
    expect(found).toEqual(expected);
  });

  it("of caps keep to the page's length", async () => {
    const account = await t.newAccount();
    for (const period of ["month", "day"] as const) await t.cap(account, METER, period, 5);
    await t.cap(account, "log_events", "day", 5);
    const page = async (query: string) => (await t.send("GET", `/v1/usage/caps?${query}`, { account })).body;
    const first = await page("limit=2");
    const second = await page(`limit=2&cursor=${String(first["nextCursor"])}`);
    const named = [first, second].flatMap(({ caps }) => (caps as { meter: string; period: string }[]).map((c) => `${c.meter}/${c.period}`));
    expect(named).toEqual(["log_events/day", `${METER}/day`, `${METER}/month`]);
    expect(second["nextCursor"]).toBeNull();
  });

  it.each(["/v1/accounts", "/v1/keys", "/v1/webhooks", "/v1/notifications", "/v1/usage/caps"])(
    "%s refuses a forged cursor",
    async (url) => {
      const account = await t.newAccount();
      for (const parts of [["x", "y"], [1e300, "a"], [1, "a\0"], [1, "\ud800"], [1], [{}, []]]) {
        const cursor = Buffer.from(JSON.stringify(parts)).toString("base64url");
        const { status } = await t.send("GET", `${url}?cursor=${cursor}`, { account });
        expect({ parts, url, fine: status === 400 || (status === 200 && url.endsWith("caps")) }).toEqual({ parts, url, fine: true });
      }
    },
  );
});

it("a forged cursor of the largest objects is refused, not asked of Postgres", async () => {
  const cursor = Buffer.from(JSON.stringify(["1", "a\0", "b", "c"])).toString("base64url");
  expect((await t.send("GET", `/v1/usage/objects?cursor=${cursor}`, { account: await t.newAccount() })).status).toBe(400);
});

describe("history", () => {
  const history = async (account: string, query: string) =>
    (await t.send("GET", `/v1/usage/history?meter=${METER}&${query}`, { account })).body["series"];

  it("includes every answered check, without any job having run", async () => {
    const account = await t.newAccount();
    for (let used = 1; used <= 5; used++) {
      await t.check({ account, usage: { [METER]: 1 } });
      expect(await history(account, "granularity=day")).toMatchObject([{ quantity: used }]);
    }
  });

  it("takes dates for the midnights they begin with", async () => {
    const account = await t.newAccount();
    await t.check({ account, usage: { [METER]: 3 } });
    const today = new Date(t.clock.now()).toISOString().slice(0, 10);
    const tomorrow = new Date(t.clock.now() + 86_400_000).toISOString().slice(0, 10);
    expect(await history(account, `granularity=day&from=${today}&to=${tomorrow}`)).toEqual([
      { start: `${today}T00:00:00.000Z`, quantity: 3 },
    ]);
    expect(await history(account, "granularity=day&from=2026-02-30")).toBeUndefined();
  });
});

it("a webhook may ask for every type the contract names, the test's too", async () => {
  const account = await t.newAccount();
  const events = [
    "usage.threshold_reached",
    "usage.limit_reached",
    "usage.window_reset",
    "subscription.changed",
    "invoice.finalized",
    "webhook.test",
  ];
  const answer = await t.send("POST", "/v1/webhooks", { account, body: { url: "https://example.com/hook", events } });
  expect(answer).toMatchObject({ status: 201, body: { events } });
});

it("a level that would fall below 0 stands at 0, and the answer says by how much, when it is given again too", async () => {
  const account = await t.newAccount();
  const place = { account, service: "s", namespace: "Room", object: "o" };
  expect(await t.check({ ...place, storageBytes: { delta: 100 } })).not.toHaveProperty("clampedBytes");
  const shrink = { ...place, storageBytes: { delta: -130 }, idempotencyKey: "shrink" };
  for (let i = 0; i < 2; i++) {
    const { status, body } = await t.send("POST", "/v1/check", { body: shrink });
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { allowed: true, clampedBytes: 30, meters: { state_sqlite_storage_bytes: { used: 0 } } },
    });
  }
  expect(await t.check({ ...place, storageBytes: { set: 0 } })).not.toHaveProperty("clampedBytes");
});

describe("where a problem's type leads is a page", () => {
  it.each(Object.keys(ERROR_CATALOG) as ErrorCode[])("of %s: what it means, why, what to do, and an example answer", async (code) => {
    const { type, docs_url } = toProblem(new WeirError(code, "…"), "/");
    expect(docs_url).toBe(type);
    const page = await t.app.inject({ url: type });
    expect([page.statusCode, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    for (const part of [code, "Why it happens", "What to do", `HTTP/1.1 ${ERROR_CATALOG[code].status}`]) expect(page.body).toContain(part);
  });

  it("that the index names; no other code has one", async () => {
    const index = await t.app.inject({ url: "/docs/errors" });
    const named = [...index.body.matchAll(/href="\/docs\/errors\/([a-z_]+)"/g)].map(([, code]) => code);
    expect(named).toEqual(Object.keys(ERROR_CATALOG));
    expect((await t.app.inject({ url: "/docs/errors/constructor" })).statusCode).toBe(404);
  });

  it("also for an answer that never reached a route", async () => {
    const { body } = await t.send("GET", "/v1/nothing");
    expect((await t.app.inject({ url: String(body["type"]) })).statusCode).toBe(200);
  });
});
