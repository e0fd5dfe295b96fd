import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { answerAlarm } from "../../../examples/alarm-worker.ts";
import { openTestApp, type Answer, type TestApp } from "../../support/app.ts";
import { startReceiver, type Received, type Receiver } from "../../support/receiver.ts";

const SERVICE = "/v1/services/service_1";
const NAMESPACES = `${SERVICE}/state/namespaces`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const DAY_SECONDS = 86_400;

let t: TestApp;
let account: string;
let worker: Receiver;
/** What the worker answers. */
let status: number;
/** What the namespace was created with. */
let secret: string;

beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

beforeEach(async () => {
  account = await t.newAccount("free");
  status = 204;
  worker = await startReceiver((response) => void response.writeHead(status).end());
  const created = await send("POST", NAMESPACES, { name: "Room" });
  expect(created.status).toBe(201);
  secret = String(created.body["secret"]);
  await send("PUT", SERVICE, { workerUrl: worker.url });
});
afterEach(() => worker.stop());

const send = (method: "GET" | "PUT" | "POST" | "DELETE", url: string, body?: unknown): Promise<Answer> =>
  t.send(method, url, body === undefined ? { account } : { account, body });

/** What the worker's library makes of a call, at the time it came. */
function verified(by: string, { headers, body }: Received): unknown {
  vi.useFakeTimers({ toFake: ["Date"], now: t.clock.now() });
  try {
    return new Webhook(by).verify(body, headers as Record<string, string>);
  } finally {
    vi.useRealTimers();
  }
}

/** Sets an alarm that is due, and answers the call that the worker got. */
async function rung(object = "room-1"): Promise<Received> {
  await send("PUT", `${NAMESPACES}/Room/objects/${object}/alarm`, { delaySeconds: 0 });
  await t.state.alarms.deliverDue();
  return worker.received.at(-1) as Received;
}

const rotate = (body?: unknown): Promise<Answer> => send("POST", `${NAMESPACES}/Room/rotate`, body);

test("an alarm is signed with the secret that its namespace was created with", async () => {
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const call = await rung();
  expect(verified(secret, call)).toEqual(JSON.parse(call.body));
  expect(call.headers).toMatchObject({
    "webhook-id": (JSON.parse(call.body) as { alarmId: string }).alarmId,
    "webhook-timestamp": String(Math.floor(t.clock.now() / 1_000)),
  });
  expect(() => verified(OTHER_SECRET, call)).toThrow("No matching signature found");
  const altered = { ...call, body: call.body.replace('"isRetry":false', '"isRetry":true') };
  expect(() => verified(secret, altered)).toThrow("No matching signature found");
});

test("each attempt is signed anew, at its own time, under the alarm's one id", async () => {
  status = 500;
  await rung();
  t.clock.advance(2_000);
  await t.state.alarms.deliverDue();
  const [first, second] = worker.received as [Received, Received];
  expect(second.headers["webhook-id"]).toBe(first.headers["webhook-id"]);
  expect(Number(second.headers["webhook-timestamp"]) - Number(first.headers["webhook-timestamp"])).toBe(2);
  expect(verified(secret, second)).toMatchObject({ retryCount: 1, isRetry: true });
  expect(second.headers["webhook-signature"]).not.toBe(first.headers["webhook-signature"]);
});

test("the example's worker rings for a signed call, and answers others with 401 and its own failures with 500", async () => {
  expect(
    readFileSync(new URL("../../../examples/alarm-worker.ts", import.meta.url), "utf8")
      .trimEnd()
      .split("\n").length,
  ).toBeLessThanOrEqual(20);
  const { path, headers, body } = await rung();
  const rings: string[] = [];
  const answerTo = async (text: string, ring: (object: string) => void): Promise<number> => {
    const call = new Request(`http://worker.example${path}`, { method: "POST", headers: headers as Record<string, string>, body: text });
    vi.useFakeTimers({ toFake: ["Date"], now: t.clock.now() });
    try {
      return (await answerAlarm(call, secret, async ({ object }) => ring(object))).status;
    } finally {
      vi.useRealTimers();
    }
  };
  const fails = (): never => {
    throw new Error("not now");
  };
  expect(await answerTo(body, (object) => void rings.push(object))).toBe(204);
  expect(await answerTo(body.replace("room-1", "room-2"), (object) => void rings.push(object))).toBe(401);
  expect(await answerTo(body, fails)).toBe(500);
  expect(rings).toEqual(["room-1"]);
});

test("namespaces have secrets of their own, also one that is made anew under its name", async () => {
  const hall = await send("POST", NAMESPACES, { name: "Hall" });
  await send("DELETE", `${NAMESPACES}/Room`);
  const again = await send("POST", NAMESPACES, { name: "Room" });
  const secrets = [secret, String(hall.body["secret"]), String(again.body["secret"])];
  expect(new Set(secrets).size).toBe(3);
  const call = await rung();
  expect(() => verified(secret, call)).toThrow("No matching signature found");
  expect(verified(String(again.body["secret"]), call)).toMatchObject({ namespace: "Room" });
});

test("after a rotation both sign for as long as was asked, a day unless told; then the new one alone", async () => {
  const { status: answered, body } = await rotate();
  expect(answered).toBe(200);
  expect(body).toEqual({
    id: "state_namespace_1",
    name: "Room",
    service: "service_1",
    secret: expect.stringMatching(/^whsec_/) as string,
    previousSecretUntil: new Date(t.clock.now() + DAY_SECONDS * 1_000).toISOString(),
  });
  const newer = String(body["secret"]);
  expect(newer).not.toBe(secret);
  t.clock.advance(DAY_SECONDS * 1_000 - 1);
  const last = await rung();
  for (const by of [secret, newer]) expect(verified(by, last)).toMatchObject({ object: "room-1" });
  t.clock.advance(1);
  const next = await rung();
  expect(verified(newer, next)).toMatchObject({ object: "room-1" });
  expect(() => verified(secret, next)).toThrow("No matching signature found");

  const atOnce = await rotate({ previousSecretSeconds: 0 });
  const call = await rung();
  expect(verified(String(atOnce.body["secret"]), call)).toMatchObject({ object: "room-1" });
  expect(() => verified(newer, call)).toThrow("No matching signature found");
});

test("rotating counts nothing, and is refused where there is no such namespace or no such time", async () => {
  const used = async (): Promise<unknown> => (await send("GET", "/v1/usage")).body["usage"];
  const before = await used();
  expect((await rotate()).status).toBe(200);
  expect(await used()).toEqual(before);
  expect(await rotate({ previousSecretSeconds: 7 * DAY_SECONDS + 1 })).toMatchObject({ status: 400, body: { code: "validation_failed" } });
  expect((await send("POST", `${NAMESPACES}/Nowhere/rotate`)).status).toBe(404);
  const stranger = await t.key("account", await t.newAccount());
  expect((await t.send("POST", `${NAMESPACES}/Room/rotate`, { key: stranger })).status).toBe(404);
  await send("DELETE", `${NAMESPACES}/Room`);
  expect((await rotate()).status).toBe(404);
});

test("a secret is in no answer but the two that make one, and not in the audit log", async () => {
  const { body } = await rotate();
  const shown = await Promise.all(
    [NAMESPACES, `${NAMESPACES}/Room/objects`, SERVICE, "/v1/audit"].map(async (url) => JSON.stringify((await send("GET", url)).body)),
  );
  expect(shown.at(-1)).toContain("state_namespaces.update");
  for (const one of [secret, String(body["secret"])]) {
    const bytes = Buffer.from(one.slice("whsec_".length), "base64");
    for (const text of shown) for (const form of ["base64", "hex"] as const) expect(text).not.toContain(bytes.toString(form));
  }
});
