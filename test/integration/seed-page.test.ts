/*
 * The State page of the platform whose contract Weir goes on serving, with `weir` in place of its command: what it shows is run here in
 * its order and as it is written, and must do what it says.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { startWeir, type RunningWeir } from "./cli/weir.ts";

/** Each line is a process of its own, and the machine may have other work. */
const PAGE_TIMEOUT_MS = 240_000;

let server: RunningWeir;
let worker: Receiver;
beforeAll(async () => {
  worker = await startReceiver((response) => void response.writeHead(200).end('{"ok":true}'));
  server = await startWeir({ WEIR_PROFILE: "tovuk", WEIR_WEBHOOK_ALLOW_PRIVATE: "1" });
});
afterAll(async () => {
  await server.stop();
  await worker.stop();
});

/** Runs a line of the page; `name=value` words in single quotes stay one word. */
async function run(line: string): Promise<unknown> {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  expect(words.shift()).toBe("weir");
  const { code, stdout, stderr } = await server.weir(words);
  expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Asks as the account, without the command. */
const api = (method: string, path: string, body?: unknown): Promise<unknown> => server.api(method, path, "acct_demo", body);

test(
  "Set up State",
  async () => {
    expect(await run("weir state list --service service_1 --json")).toEqual({ namespaces: [], nextCursor: null });
    // The class's id is what the worker finds in its environment: STATE_ROOM=state_namespace_1.
    expect(await run("weir state create --service service_1 Room --json")).toMatchObject({
      id: "state_namespace_1",
      name: "Room",
      className: "Room",
      service: "service_1",
      storageBytes: 0,
      storageUsedBytes: 0,
    });
    expect(await run("weir state objects --service service_1 Room --json")).toEqual({ objects: [], nextCursor: null });
    expect(await run("weir state keys --service service_1 Room room-1 --json")).toEqual({ keys: [], listComplete: true, nextCursor: null });
  },
  PAGE_TIMEOUT_MS,
);

test(
  "Commands",
  async () => {
    const entry = { key: "counter", valueSizeBytes: 1 };
    expect(await run("weir state put --service service_1 Room room-1 counter 1 --json")).toMatchObject({
      namespace: "Room",
      object: "room-1",
      entry,
    });
    expect(await run("weir state get --service service_1 Room room-1 counter --json")).toMatchObject({
      entry,
      valueText: "1",
      valueBase64: "MQ==",
    });
    expect(await run("weir state get --service service_1 state_namespace_1 room-1 counter --json")).toMatchObject({ valueText: "1" });
    expect(await run("weir state objects --service service_1 Room --json")).toMatchObject({
      objects: [{ objectKey: "room-1", storageBytes: 12_288, storageUsedBytes: 12_288 }],
    });
    expect(await run("weir state keys --service service_1 Room room-1 --json")).toMatchObject({ keys: [entry], listComplete: true });
    expect(await run("weir state alarm set --service service_1 Room room-1 --delay-seconds 60 --json")).toMatchObject({
      namespace: "Room",
      object: "room-1",
      retryCount: 0,
    });
    const { scheduledAt } = (await run("weir state alarm get --service service_1 Room room-1 --json")) as { scheduledAt: string };
    const inMs = Date.parse(scheduledAt) - Date.now();
    expect(inMs).toBeGreaterThan(30_000);
    expect(inMs).toBeLessThanOrEqual(60_000);
    expect(await run("weir state alarm delete --service service_1 Room room-1 --json")).toMatchObject({ deleted: true });
    expect(await run("weir state delete-value --service service_1 Room room-1 counter --json")).toMatchObject({
      key: "counter",
      deleted: true,
    });
  },
  PAGE_TIMEOUT_MS,
);

test(
  "Worker delivery: POST /.tovuk/state/<class>/<object>/alarm, with retryCount and isRetry",
  async () => {
    await api("PUT", "/v1/services/service_1", { workerUrl: worker.url });
    // A Unix time in milliseconds is an absolute one; this one has passed.
    await run("weir state alarm set --service service_1 Room room-1 1780272000000 --json");
    await worker.until(1);
    const [event] = worker.received;
    expect(event?.path).toBe("/.tovuk/state/Room/room-1/alarm");
    expect(JSON.parse(event?.body ?? "")).toMatchObject({ scheduledAtUnixMs: 1_780_272_000_000, retryCount: 0, isRetry: false });
    await expect
      .poll(async () => (await api("GET", "/v1/services/service_1/state/namespaces/Room/objects/room-1/alarm")) as object)
      .toMatchObject({
        scheduledAt: null,
      });
  },
  PAGE_TIMEOUT_MS,
);

test(
  "Limits: current limit fields, then hard caps",
  async () => {
    expect(await run("weir pricing --json")).toMatchObject({
      plans: [
        { key: "free", limits: { stateClasses: 100, stateAlarmDurationSeconds: 900 } },
        { key: "pro", limits: { stateClasses: 500 } },
      ],
    });
    expect(await run("weir usage --json")).toMatchObject({
      account: "acct_demo",
      usage: { meters: { day: { state_sqlite_rows_written: 5 } } },
    });
    // The command has had three names.
    const requests = { meter: "state_requests", metric: "state_requests", capValue: 1_000_000, hardStop: true, notifyAtPercent: 80 };
    expect(await run("weir limit set state_requests --period month --value 1000000 --json")).toMatchObject(requests);
    const [duration, rows] = await Promise.all([
      run("weir caps set state_duration_gb_milliseconds --period month --value 400000000 --json"),
      run("weir limits set state_sqlite_rows_written --period month --value 50000000 --notify-at-percent 80 --json"),
    ]);
    expect([duration, rows]).toMatchObject([{ capValue: 400_000_000 }, { capValue: 50_000_000, notifyAtPercent: 80 }]);
    expect(await run("weir limits delete state_requests --period month --json")).toMatchObject({ deleted: true });
    await run(`weir limit set state_sqlite_rows_written --period day --value 5 --output json --api ${server.url}`);
    const denied = await server.weir("state put --service service_1 Room room-1 counter 2 --json".split(" "));
    expect(denied.code).toBe(3);
    expect(JSON.parse(denied.stdout)).toMatchObject({
      code: "limit_exceeded",
      agent_instruction: expect.any(String) as string,
      docs_url: expect.any(String) as string,
      denials: [{ meter: "state_sqlite_rows_written", limit: 5, used: 5, requested: 1 }],
    });
    await run("weir limits delete state_sqlite_rows_written --period day --json");
  },
  PAGE_TIMEOUT_MS,
);

test(
  "Clean up",
  async () => {
    // A body may still name the class as the platform did.
    expect(await api("POST", "/v1/services/service_1/state/namespaces", { className: "Hall" })).toMatchObject({
      name: "Hall",
      className: "Hall",
    });
    expect(await run("weir state delete --service service_1 Hall --json")).toMatchObject({ deleted: true });
    expect(await run("weir state delete --service service_1 Room --json")).toMatchObject({ id: "state_namespace_1", deleted: true });
    expect(await run("weir state list --service service_1 --json")).toEqual({ namespaces: [], nextCursor: null });
  },
  PAGE_TIMEOUT_MS,
);
