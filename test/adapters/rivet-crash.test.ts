import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startRivetEngine, type RivetEngine } from "./support/rivet-engine.ts";
import { startRunner, type Runner } from "./support/rivet-process.ts";
import { clientOf } from "./support/rivet-rooms.ts";
import { openWeir, type Weir } from "./support/weir.ts";

/** Long enough for Rivet to find out that a runner is lost, and to start its actors elsewhere, on a busy machine. */
vi.setConfig({ testTimeout: 180_000 });
const TRIES = 60;
const RETRY_MS = 500;
const CALLS = 8;

let weir: Weir;
let engine: RivetEngine;
let key: string;
let client: ReturnType<typeof clientOf>;
const runners: Runner[] = [];
type Room = { sql(...statements: string[]): Promise<unknown[]> };

beforeAll(async () => {
  [weir, engine] = await Promise.all([openWeir(), startRivetEngine({ runnerLostAfterMs: 2_000 })]);
  key = await weir.key("data_plane");
  client = clientOf(engine.endpoint);
});
afterAll(async () => {
  for (const { child } of runners) child.kill("SIGKILL");
  await client.dispose();
  await Promise.all([engine.stop(), weir.stop()]);
});

async function runner(hangs = "nobody"): Promise<Runner> {
  const started = await startRunner({ endpoint: engine.endpoint, weir: weir.url, key, hangs });
  runners.push(started);
  return started;
}

/** Calls until it is answered: after a crash an actor takes its time to come back. */
async function answered<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function visitsOf(room: Room): Promise<number> {
  const [rows = []] = (await answered(() => room.sql("SELECT count(*) AS n FROM visits"))) as { n: number }[][];
  return rows[0]?.n ?? 0;
}

/** Inserts one visit after the other; `crash` happens with one under way. Answers how many were acknowledged. */
async function insertThrough(room: Room, crash: () => Promise<void>): Promise<number> {
  let acknowledged = 0;
  const insert = async (): Promise<void> => {
    await room.sql("INSERT INTO visits (name) VALUES ('v')");
    acknowledged += 1;
  };
  for (let i = 0; i < CALLS; i++) await insert();
  const underWay = insert().catch(() => undefined);
  await crash();
  await underWay;
  await visitsOf(room);
  for (let i = 0; i < CALLS; i++) await insert();
  return acknowledged;
}

test("an actor's process killed between a write and its settlement: with the outbox the write is counted, once", async () => {
  const account = await weir.newAccount();
  const room = client.strict.getOrCreate([account, "lobby"]);
  const first = await runner(`${account}/lobby`);
  const unanswered = room.halfway().catch(() => "not acknowledged");
  await first.halfway;
  expect(await weir.used(account)).toEqual({});
  first.child.kill("SIGKILL");
  const second = await runner();
  // A client may do an action again that was cut off; what there is was written, and each write is counted.
  await unanswered;
  const visits = await visitsOf(room);
  expect(visits).toBeGreaterThanOrEqual(1);
  expect((await weir.used(account))["rows_written"]).toBe(visits);
  expect(await answered(() => room.sql("SELECT * FROM _weir_outbox"))).toEqual([[]]);
  second.child.kill("SIGKILL");
});

test.each([
  ["", "room", 1],
  [", with the outbox", "strict", 0],
] as const)("an actor's process killed in the middle%s: what was acknowledged is there, and counted", async (_, kind, uncounted) => {
  const account = await weir.newAccount();
  let serving = await runner();
  const room = client[kind].getOrCreate([account, "lobby"]);
  const acknowledged = await insertThrough(room, async () => {
    serving.child.kill("SIGKILL");
    serving = await runner();
  });
  const visits = await visitsOf(room);
  const { rows_written: counted = 0 } = await weir.used(account);
  expect(visits).toBeGreaterThanOrEqual(acknowledged);
  expect(counted).toBeGreaterThanOrEqual(acknowledged);
  expect(counted).toBeLessThanOrEqual(visits);
  // Without the outbox a write that nobody was told of may go uncounted.
  expect(visits - counted).toBeLessThanOrEqual(uncounted);
  serving.child.kill("SIGKILL");
});

test("the engine and the actor's process killed in the middle: what was acknowledged is there, and counted", async () => {
  const account = await weir.newAccount();
  let serving = await runner();
  const room = client.strict.getOrCreate([account, "lobby"]);
  const acknowledged = await insertThrough(room, async () => {
    await engine.crash();
    serving.child.kill("SIGKILL");
    serving = await runner();
  });
  const visits = await visitsOf(room);
  expect(visits).toBeGreaterThanOrEqual(acknowledged);
  expect((await weir.used(account))["rows_written"]).toBe(visits);
  serving.child.kill("SIGKILL");
});
