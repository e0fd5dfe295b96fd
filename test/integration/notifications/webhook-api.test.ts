import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKey } from "../../../src/accounts/api-key-store.ts";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { buildApp, type App } from "../../../src/http/app.ts";
import { ManualClock, systemClock } from "../../../src/kernel/clock.ts";
import { notify } from "../../../src/notifications/notification-store.ts";
import { openState } from "../../../src/state/open-state.ts";
import type { State } from "../../../src/state/state.ts";
import { LOOPBACK } from "../../support/loopback.ts";
import { startReceiver, type Received, type Receiver } from "../../support/receiver.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

const ADMIN_KEY = "an-admin-key-of-this-test";

let stack: TestStack;
let engine: Engine;
let state: State;
let app: App;
let receiver: Receiver;
let failing = false;
let accounts = 0;
const clock = new ManualClock(systemClock.now());
const troubles: unknown[] = [];
const onTrouble = (error: unknown): void => void troubles.push(error);

beforeAll(async () => {
  stack = await createTestStack();
  receiver = await startReceiver((response) => response.writeHead(failing ? 500 : 200).end("seen"));
  engine = await createEngine({
    ...stack,
    redisPrefix: stack.keyPrefix,
    clock,
    redisTimeoutMs: 5_000,
    onTrouble,
    outbox: { egress: LOOPBACK },
  });
  state = await openState(engine, join(stack.dataDir, "state"), onTrouble);
  app = await buildApp({ engine, state, adminKey: ADMIN_KEY, redisDurable: null, runJobs: () => Promise.resolve() });
  await app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await app.close();
  await state.close();
  await engine.close();
  await receiver.stop();
  await stack.stop();
  expect(troubles).toEqual([]);
});

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** A caller with a key; by default the operator, for `account`. */
const caller =
  (account: string, key = ADMIN_KEY) =>
  async (method: "GET" | "POST" | "DELETE", url: string, body?: object): Promise<Answer> => {
    const headers = { authorization: `Bearer ${key}`, ...(key === ADMIN_KEY ? { "weir-account": account } : {}) };
    const answer = await app.inject({ method, url, headers, ...(body ? { payload: body } : {}) });
    return { status: answer.statusCode, body: answer.json() };
  };

async function newAccount(): Promise<string> {
  const account = `acct_${++accounts}`;
  await engine.limits.putAccount(account, { plan: "free" }, clock.now());
  return account;
}

async function keyed(scope: "account" | "read_only", account: string) {
  const { key } = await createKey(engine.db, { account, scope, name: null, expiresAt: null }, clock.now());
  return caller(account, key);
}

async function register(call: ReturnType<typeof caller>, body: object = {}): Promise<{ id: string; secret: string }> {
  const { status, body: made } = await call("POST", "/v1/webhooks", { url: `${receiver.url}/hook`, ...body });
  expect(status).toBe(201);
  return { id: String(made["id"]), secret: String(made["secret"]) };
}

const last = (): Received => receiver.received.at(-1) as Received;
const verify = (secret: string, { body, headers }: Received): unknown =>
  new Webhook(secret).verify(body, headers as Record<string, string>);

test("an account registers an endpoint, tests it, reads its log and replays: the same message, byte for byte", async () => {
  const account = await newAccount();
  const call = await keyed("account", account);
  const { id, secret } = await register(call, { description: "main" });
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const tested = await call("POST", `/v1/webhooks/${id}/test`);
  expect(tested).toMatchObject({
    status: 202,
    body: { type: "webhook.test", status: "pending", attempts: [], nextAttemptAt: expect.any(String) as string },
  });
  await engine.outbox.deliverDue();
  const first = last();
  expect(verify(secret, first)).toEqual({
    type: "webhook.test",
    timestamp: new Date(clock.now()).toISOString(),
    data: { account, webhook: id },
  });
  const { body } = await call("GET", `/v1/webhooks/${id}/deliveries`);
  expect(body).toMatchObject({
    deliveries: [
      {
        id: tested.body["id"],
        messageId: first.headers["webhook-id"],
        status: "delivered",
        attempts: [{ number: 1, statusCode: 200, answer: "seen" }],
      },
    ],
    nextCursor: null,
  });
  const one = `/v1/webhooks/${id}/deliveries/${String(tested.body["id"])}`;
  expect((await call("GET", one)).body["payload"]).toBe(first.body);
  clock.advance(60_000);
  expect(await call("POST", `${one}/replay`)).toMatchObject({ status: 202, body: { status: "pending", attemptCount: 1 } });
  await engine.outbox.deliverDue();
  expect(last()).not.toBe(first);
  expect(last().body).toBe(first.body);
  expect(last().headers["webhook-id"]).toBe(first.headers["webhook-id"]);
  expect(Number(last().headers["webhook-timestamp"])).toBe(Number(first.headers["webhook-timestamp"]) + 60);
  expect((await call("GET", one)).body).toMatchObject({ status: "delivered", attemptCount: 2 });
});

test("the secret is shown when it is made, and never again", async () => {
  const call = caller(await newAccount());
  const { id, secret } = await register(call);
  const rotated = await call("POST", `/v1/webhooks/${id}/rotate`);
  const fresh = String(rotated.body["secret"]);
  expect(rotated).toMatchObject({ status: 200, body: { previousSecretUntil: new Date(clock.now() + 86_400_000).toISOString() } });
  expect(fresh).not.toBe(secret);
  const shown = await Promise.all(["", `/${id}`, `/${id}/deliveries`].map((path) => call("GET", `/v1/webhooks${path}`)));
  for (const text of shown.map((answer) => JSON.stringify(answer.body))) {
    expect(text).not.toContain(secret.slice("whsec_".length));
    expect(text).not.toContain(fresh.slice("whsec_".length));
  }
  await call("POST", `/v1/webhooks/${id}/test`);
  await engine.outbox.deliverDue();
  for (const valid of [secret, fresh]) expect(() => verify(valid, last())).not.toThrow();
});

test("a secret that has leaked can be put out of use at once", async () => {
  const call = caller(await newAccount());
  const { id, secret } = await register(call);
  const { body } = await call("POST", `/v1/webhooks/${id}/rotate`, { previousSecretSeconds: 0 });
  expect(body["previousSecretUntil"]).toBeNull();
  await call("POST", `/v1/webhooks/${id}/test`);
  await engine.outbox.deliverDue();
  expect(() => verify(secret, last())).toThrow("No matching signature found");
  expect(() => verify(String(body["secret"]), last())).not.toThrow();
});

describe("who may do what", () => {
  test("a read-only key reads, and changes nothing", async () => {
    const account = await newAccount();
    const { id } = await register(caller(account));
    const call = await keyed("read_only", account);
    for (const url of ["/v1/webhooks", `/v1/webhooks/${id}`, `/v1/webhooks/${id}/deliveries`, "/v1/notifications"])
      expect((await call("GET", url)).status).toBe(200);
    for (const url of ["", `/${id}/test`, `/${id}/rotate`, `/${id}/enable`])
      expect((await call("POST", `/v1/webhooks${url}`, {})).status).toBe(403);
    expect((await call("DELETE", `/v1/webhooks/${id}`)).status).toBe(403);
  });

  test("another account's endpoint does not exist", async () => {
    const owner = caller(await newAccount());
    const { id } = await register(owner);
    const delivery = String((await owner("POST", `/v1/webhooks/${id}/test`)).body["id"]);
    const thief = await keyed("account", await newAccount());
    const mine = (await register(thief)).id;
    const tries: [method: "GET" | "POST" | "DELETE", url: string][] = [
      ["GET", `/${id}`],
      ["DELETE", `/${id}`],
      ["POST", `/${id}/rotate`],
      ["POST", `/${id}/test`],
      ["POST", `/${id}/enable`],
      ["GET", `/${id}/deliveries`],
      ["GET", `/${id}/deliveries/${delivery}`],
      ["POST", `/${id}/deliveries/${delivery}/replay`],
      ["GET", `/${mine}/deliveries/${delivery}`],
      ["POST", `/${mine}/deliveries/${delivery}/replay`],
    ];
    for (const [method, url] of tries)
      expect({ method, url, status: (await thief(method, `/v1/webhooks${url}`)).status }).toEqual({ method, url, status: 404 });
    expect((await owner("GET", `/v1/webhooks/${id}`)).status).toBe(200);
  });

  test("an account that does not exist has no list", async () => {
    const call = caller("acct_unknown");
    expect((await call("GET", "/v1/webhooks")).status).toBe(404);
    expect((await call("GET", "/v1/notifications")).status).toBe(404);
    expect((await call("POST", "/v1/webhooks", { url: receiver.url })).status).toBe(404);
  });
});

test.each([
  [{ url: "not a url" }, "url"],
  [{ url: "ftp://127.0.0.1/" }, "url"],
  [{ url: "http://user:secret@127.0.0.1/" }, "url"],
  [{ url: "http://127.0.0.1/", events: ["no.such"] }, "events.0"],
  [{ url: "http://127.0.0.1/", description: "" }, "description"],
  [{}, "url"],
])("%j is not registered, and the field is named", async (body, path) => {
  const answer = await caller(await newAccount())("POST", "/v1/webhooks", body);
  expect(answer).toMatchObject({ status: 400, body: { code: "validation_failed", errors: [{ path }] } });
});

test("an account has at most 20 endpoints, listed newest first in pages", async () => {
  const call = caller(await newAccount());
  const made: string[] = [];
  for (let i = 0; i < 20; i += 1) {
    clock.advance(1);
    made.unshift((await register(call)).id);
  }
  expect(await call("POST", "/v1/webhooks", { url: receiver.url })).toMatchObject({ status: 409, body: { code: "conflict" } });
  const first = await call("GET", "/v1/webhooks?limit=15");
  const second = await call("GET", `/v1/webhooks?limit=15&cursor=${String(first.body["nextCursor"])}`);
  const ids = [first, second].flatMap(({ body }) => (body["webhooks"] as { id: string }[]).map(({ id }) => id));
  expect(ids).toEqual(made);
  expect(second.body["nextCursor"]).toBeNull();
  expect((await call("DELETE", `/v1/webhooks/${made[0] ?? ""}`)).body).toEqual({ id: made[0], deleted: true });
  expect((await call("GET", `/v1/webhooks/${made[0] ?? ""}`)).status).toBe(404);
});

test("a disabled endpoint says so, takes no test, and goes on where it stood once it is enabled", async () => {
  const account = await newAccount();
  const call = caller(account);
  const { id } = await register(call);
  failing = true;
  await notify(engine.db, account, "a", "usage.limit_reached", {}, clock.now());
  await engine.outbox.deliverDue();
  clock.advance(5 * 86_400_000);
  await notify(engine.db, account, "b", "usage.limit_reached", {}, clock.now());
  await engine.outbox.deliverDue();
  expect((await call("GET", `/v1/webhooks/${id}`)).body).toMatchObject({ status: "disabled", disabledReason: "failing" });
  expect(await call("POST", `/v1/webhooks/${id}/test`)).toMatchObject({ status: 409, body: { code: "conflict" } });
  expect((await call("GET", "/v1/notifications")).body).toMatchObject({
    notifications: [{ type: "webhook.disabled", data: { webhook: id, reason: "failing" } }, {}, {}],
  });
  failing = false;
  clock.advance(86_400_000);
  const before = receiver.received.length;
  expect((await call("POST", `/v1/webhooks/${id}/enable`)).body).toMatchObject({
    status: "enabled",
    disabledAt: null,
    firstFailureAt: null,
  });
  await engine.outbox.deliverDue();
  expect(receiver.received).toHaveLength(before + 2);
});

test("deliveries and notifications page newest first, those of one instant in the order they were told", async () => {
  const account = await newAccount();
  const call = caller(account);
  const { id } = await register(call);
  for (let i = 0; i < 7; i += 1) {
    if (i > 3) clock.advance(1);
    await notify(engine.db, account, `n/${i}`, "usage.threshold_reached", { i }, clock.now());
  }
  const page = async (url: string, name: string): Promise<Record<string, unknown>[]> => {
    const all: Record<string, unknown>[] = [];
    for (let cursor: unknown = ""; cursor !== null;) {
      const { body } = await call("GET", `${url}?limit=3${cursor === "" ? "" : `&cursor=${String(cursor)}`}`);
      all.push(...(body[name] as Record<string, unknown>[]));
      cursor = body["nextCursor"];
    }
    return all;
  };
  const notifications = await page("/v1/notifications", "notifications");
  expect(notifications.map(({ data }) => data)).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => ({ account, i })));
  expect((await page(`/v1/webhooks/${id}/deliveries`, "deliveries")).map(({ messageId }) => messageId)).toEqual(
    notifications.map((one) => one["id"]),
  );
  const forged = Buffer.from(JSON.stringify(["x", 1e300])).toString("base64url");
  expect((await call("GET", `/v1/notifications?cursor=${forged}`)).status).toBe(400);
});

describe("the command line", () => {
  const weir = async (account: string, ...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> => {
    const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    const child = spawn(
      process.execPath,
      [join(ROOT, "src/cli/main.ts"), "--url", url, "--key", ADMIN_KEY, "--account", account, ...args],
      {
        env: { PATH: process.env["PATH"] ?? "" },
      },
    );
    const out = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => (out.stdout += String(chunk)));
    child.stderr.on("data", (chunk) => (out.stderr += String(chunk)));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...out };
  };

  test("registers, lists, tests, shows, replays, rotates, enables and removes", async () => {
    const account = await newAccount();
    const created = await weir(account, "webhooks", "create", receiver.url, "--event", "usage.limit_reached", "--description", "ops");
    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whsec_\S+\n$/) as string });
    const listed = JSON.parse((await weir(account, "webhooks", "list", "--json")).stdout) as { webhooks: { id: string }[] };
    expect(listed).toMatchObject({ webhooks: [{ events: ["usage.limit_reached"], description: "ops" }] });
    const id = listed.webhooks[0]?.id ?? "";
    expect((await weir(account, "webhooks", "list")).stdout).toContain(`${id}  enabled  usage.limit_reached  ${receiver.url}`);
    expect((await weir(account, "webhooks", "test", id)).code).toBe(0);
    await engine.outbox.deliverDue();
    const { deliveries } = JSON.parse((await weir(account, "webhooks", "deliveries", id, "--json")).stdout) as {
      deliveries: { id: string }[];
    };
    const delivery = deliveries[0]?.id ?? "";
    expect((await weir(account, "webhooks", "deliveries", id)).stdout).toMatch(
      new RegExp(`${delivery}.*webhook\\.test +delivered +1 +200`),
    );
    expect((await weir(account, "webhooks", "replay", id, delivery)).code).toBe(0);
    expect((await weir(account, "webhooks", "rotate", id, "--previous-secret-seconds", "60")).stdout).toMatch(/^whsec_\S+\n$/);
    expect((await weir(account, "webhooks", "enable", id)).code).toBe(0);
    expect((await weir(account, "webhooks", "delete", id)).stdout).toBe(`Deleted ${id}.\n`);
    expect(await weir(account, "webhooks", "delete", id)).toMatchObject({ code: 1 });
    // Twelve processes, each compiling the command line: two seconds each on a machine that does other things besides.
  });

  test("shows what the account was told", async () => {
    const account = await newAccount();
    expect((await weir(account, "notifications")).stdout).toContain("Nothing yet");
    const facts = { meter: "state_requests", period: "day", used: 80, limit: 100, percent: 80, source: "cap" };
    await notify(engine.db, account, "k", "usage.threshold_reached", facts, clock.now());
    expect((await weir(account, "notifications")).stdout).toContain(
      "usage.threshold_reached  state_requests: 80 of 100 in the day (80 %, cap)",
    );
    expect(JSON.parse((await weir(account, "notifications", "--json")).stdout)).toMatchObject({
      notifications: [{ data: { account, ...facts } }],
      nextCursor: null,
    });
  });
});
