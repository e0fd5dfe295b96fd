import { afterAll, beforeAll, expect, it } from "vitest";
import { createCounters, type Counters } from "../../src/counters/counters.ts";
import { STORAGE_METER } from "../../src/engine.ts";
import { HOUR_MS } from "../../src/kernel/window.ts";
import { rollUp, ROLL_UP_STEPS, type RollUpStep, type RollUpStores } from "../../src/ledger/roll-up.ts";
import { UnbookedTotals } from "../../src/ledger/unbooked.ts";
import { openRedisServers, type RedisServers } from "../../src/stores/redis-servers.ts";
import { openTestEngine, type TestEngine } from "../support/engine.ts";

let t: TestEngine;
let redis: RedisServers;
let counters: Counters;

beforeAll(async () => {
  t = await openTestEngine();
  redis = openRedisServers(t.stack.redisUrl, { commandTimeoutMs: 5_000 });
  await redis.ready(5_000);
  counters = createCounters(redis, t.stack.keyPrefix);
});

afterAll(async () => {
  await redis.close();
  await t.stop();
});

const stores = (onStep: (step: RollUpStep) => void = () => {}): RollUpStores => ({
  db: t.engine.db,
  counters,
  unbooked: new UnbookedTotals("another process"),
  storageMeter: STORAGE_METER,
  tellCrossings: () => Promise.resolve(),
  onStep,
});

/** Ends the roll-up where a kill would: what comes after `at` does not happen. */
const killedAt = (at: RollUpStep): RollUpStores =>
  stores((step) => {
    if (step === at) throw new Error(`killed at: ${at}`);
  });

async function use(account: string, times: number, keys: string): Promise<void> {
  for (let i = 0; i < times; i++) {
    const place = { account, service: `s${i % 2}`, namespace: "Room", object: `o${i % 3}` };
    await t.check({ ...place, usage: { state_requests: 1 + i }, storageBytes: { set: 100 * i }, idempotencyKey: `${keys}${i}` });
  }
}

async function tables(account: string): Promise<unknown> {
  const { db } = t.engine;
  const usage = db
    .selectFrom("usage_buckets")
    .select((eb) => ["bucket", "meter", "service", "namespace", eb.fn.sum("quantity").as("quantity"), eb.fn.countAll().as("rows")])
    .where("account", "=", account)
    .groupBy(["bucket", "meter", "service", "namespace"])
    .orderBy("bucket")
    .orderBy("meter")
    .orderBy("service");
  const levels = db
    .selectFrom("object_levels")
    .select(["service", "object", "bytes"])
    .where("account", "=", account)
    .orderBy("service")
    .orderBy("object");
  const gauges = db
    .selectFrom("gauge_buckets")
    .select(["bucket", "byte_milliseconds", "level"])
    .where("account", "=", account)
    .orderBy("bucket");
  const keys = db
    .selectFrom("idempotency_keys")
    .select((eb) => eb.fn.countAll().as("keys"))
    .where("account", "=", account);
  return { usage: await usage.execute(), levels: await levels.execute(), gauges: await gauges.execute(), keys: await keys.execute() };
}

/** Two hours of use, rolled up by `between` in the middle and to the end after. */
async function live(between: () => Promise<void>): Promise<unknown> {
  const account = await t.newAccount("pro");
  const start = Math.ceil(t.clock.now() / HOUR_MS) * HOUR_MS;
  t.clock.set(start);
  await use(account, 6, "a");
  await between();
  t.clock.set(start + HOUR_MS);
  await use(account, 4, "b");
  await rollUp(stores(), t.clock.now());
  return relativeTo(start, await tables(account));
}

/** The tables with times counted from `start`, so that one life can be compared with another. */
function relativeTo(start: number, value: unknown): unknown {
  if (value instanceof Date) return value.getTime() - start;
  if (Array.isArray(value)) return value.map((item) => relativeTo(start, item));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, relativeTo(start, item)]));
  return value;
}

it("writes the same tables when it is run once, twice and at once", async () => {
  const once = await live(() => rollUp(stores(), t.clock.now()).then(() => {}));
  const often = await live(async () => {
    await Promise.all([1, 2, 3, 4].map(() => rollUp(stores(), t.clock.now())));
    await rollUp(stores(), t.clock.now());
  });
  expect(often).toEqual(once);
});

it.each(ROLL_UP_STEPS)("writes the same tables when it is killed at: %s", async (step) => {
  const whole = await live(() => rollUp(stores(), t.clock.now()).then(() => {}));
  const killed = await live(async () => {
    expect((await rollUp(killedAt(step), t.clock.now())).fault?.message).toMatch("killed at");
    await Promise.allSettled([
      rollUp(killedAt(step), t.clock.now()),
      rollUp(stores(), t.clock.now()),
      rollUp(killedAt(step), t.clock.now()),
    ]);
  });
  expect(killed).toEqual(whole);
});
