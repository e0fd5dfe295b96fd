import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { claimAlarms } from "../../../src/state/alarms/alarm-store.ts";
import { openState } from "../../../src/state/open-state.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { startReceiver } from "../../support/receiver.ts";

const CHILD = fileURLToPath(new URL("alarm-child.ts", import.meta.url));
const SERVICE = "/v1/services/service_1";
const NAMESPACES = `${SERVICE}/state/namespaces`;
const OBJECTS = `${NAMESPACES}/Room/objects`;
/** How long an alarm stays with a deliverer that is silent. */
const LEASE_MS = 15_000;

let t: TestApp;
let account: string;
let folders = 0;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());
beforeEach(async () => {
  account = await t.newAccount("free");
  expect((await t.send("POST", NAMESPACES, { account, body: { name: "Room" } })).status).toBe(201);
});

const setAlarm = async (object: string, body: unknown): Promise<void> => {
  expect((await t.send("PUT", `${OBJECTS}/${object}/alarm`, { account, body })).status).toBe(200);
};
const newFolder = (): string => join(t.stack.dataDir, `state-${(folders += 1)}`);

/** The account's requests of today. */
async function requests(): Promise<number> {
  const { body } = await t.send("GET", "/v1/usage", { account });
  return (body as { usage: { meters: { day: Record<string, number> } } }).usage.meters.day["state_requests"] ?? 0;
}

function startDeliverer(until: "claimed" | "called") {
  const { databaseUrl, redisUrl, keyPrefix } = t.stack;
  const time = new Date(t.clock.now()).toISOString();
  return spawn(process.execPath, [CHILD, databaseUrl, String(redisUrl), keyPrefix, newFolder(), time, until], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("a deliverer killed before it has called the worker leaves the alarm to another, once its lease is over", async () => {
  const worker = await startReceiver((response) => void response.writeHead(204).end());
  try {
    await t.send("PUT", SERVICE, { account, body: { workerUrl: worker.url } });
    await setAlarm("room-1", { delaySeconds: 0 });
    const before = await requests();
    const child = startDeliverer("claimed");
    await once(child.stdout, "data");
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    await t.state.alarms.deliverDue();
    expect(worker.received.length).toBe(0);
    t.clock.advance(LEASE_MS);
    await t.state.alarms.deliverDue();
    expect(worker.received.map(({ body }) => (JSON.parse(body) as { retryCount: number }).retryCount)).toEqual([0]);
    expect(await requests()).toBe(before + 1);
    t.clock.advance(LEASE_MS);
    await t.state.alarms.deliverDue();
    expect(worker.received.length).toBe(1);
  } finally {
    await worker.stop();
  }
});

test("a deliverer killed while the handler runs has the alarm delivered again: at least once", async () => {
  let hang = true;
  const worker = await startReceiver((response) => {
    if (!hang) response.writeHead(204).end();
  });
  try {
    await t.send("PUT", SERVICE, { account, body: { workerUrl: worker.url } });
    await setAlarm("room-1", { delaySeconds: 0 });
    const before = await requests();
    const child = startDeliverer("called");
    await worker.until(1);
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    hang = false;
    t.clock.advance(LEASE_MS);
    await t.state.alarms.deliverDue();
    expect(worker.received.length).toBe(2);
    const [first, second] = worker.received.map(({ body }) => JSON.parse(body) as { alarmId: string; retryCount: number });
    expect(second).toEqual(first);
    // Two calls reached the worker: two requests. That nobody heard how the first ended is no failure of the handler's.
    expect(await requests()).toBe(before + 2);
  } finally {
    await worker.stop();
  }
});

test("two deliverers side by side call each handler once", async () => {
  const worker = await startReceiver((response) => void response.writeHead(204).end());
  const other = await openState(await t.another(), newFolder(), (error) => process.stderr.write(`${String(error)}\n`));
  try {
    await t.send("PUT", SERVICE, { account, body: { workerUrl: worker.url } });
    const objects = Array.from({ length: 120 }, (_, n) => `room-${n}`);
    await Promise.all(objects.map((object) => setAlarm(object, { delaySeconds: 60 })));
    const before = await requests();
    t.clock.advance(60_000);
    await Promise.all([t.state.alarms.deliverDue(), other.alarms.deliverDue()]);
    const called = worker.received.map(({ body }) => (JSON.parse(body) as { object: string }).object);
    expect(called.toSorted()).toEqual(objects.toSorted());
    expect(await requests()).toBe(before + 120);
  } finally {
    await other.close();
    await worker.stop();
  }
});

test("what is in a deliverer's hands does not hide what waits behind it", async () => {
  for (const n of [1, 2, 3]) {
    const service = `/v1/services/many_${n}`;
    await t.send("PUT", service, { account, body: { workerUrl: "http://127.0.0.1:1" } });
    await t.send("POST", `${service}/state/namespaces`, { account, body: { name: "Room" } });
    await t.send("PUT", `${service}/state/namespaces/Room/objects/room-1/alarm`, { account, body: { delaySeconds: n } });
  }
  t.clock.advance(5_000);
  const now = t.clock.now();
  const claim = { limit: 2, leasedUntil: now + LEASE_MS, parkedUntil: now };
  const taken = [
    await claimAlarms(t.engine.db, claim, now),
    await claimAlarms(t.engine.db, claim, now),
    await claimAlarms(t.engine.db, claim, now),
  ];
  // The oldest first.
  expect(taken.map((some) => some.map(({ service }) => service).toSorted())).toEqual([["many_1", "many_2"], ["many_3"], []]);
  const later = await claimAlarms(t.engine.db, { ...claim, leasedUntil: now + 2 * LEASE_MS }, now + LEASE_MS);
  expect(later.length).toBe(2);
});

test("a service with a thousand alarms due does not hide another's", async () => {
  const worker = await startReceiver((response) => void response.writeHead(204).end());
  try {
    // As many as are looked at, all of a worker that cannot be reached.
    await t.send("PUT", "/v1/services/service_2", { account, body: { workerUrl: "http://127.0.0.1:1" } });
    await t.send("POST", "/v1/services/service_2/state/namespaces", { account, body: { name: "Room" } });
    await t.engine.db
      .insertInto("state_alarms")
      .values(
        Array.from({ length: 1_200 }, (_, n) => ({
          account,
          namespace: 2n,
          object: `o-${n}`,
          service: "service_2",
          setting: `alm_${n}`,
          scheduled_at: new Date(t.clock.now() - 1_000).toISOString(),
          due_at: new Date(t.clock.now() - 1_000).toISOString(),
        })),
      )
      .execute();
    await t.send("PUT", SERVICE, { account, body: { workerUrl: worker.url } });
    await setAlarm("room-1", { delaySeconds: 0 });
    const run = t.state.alarms.deliverDue();
    await worker.until(1);
    await run;
    expect(worker.received.length).toBe(1);
  } finally {
    await worker.stop();
  }
});
