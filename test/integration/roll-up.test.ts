import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCounters, type Counters } from "../../src/counters/counters.ts";
import { rollUpAccounts } from "../../src/ledger/roll-up.ts";
import { openRedis, type RedisConnection } from "../../src/stores/redis.ts";
import { dyingDb, Lifetime, type Death } from "../support/dying-db.ts";
import { openTestEngine, type TestEngine } from "../support/engine.ts";

const STORAGE = "state_sqlite_storage_bytes";

let t: TestEngine;
let connection: RedisConnection;
beforeAll(async () => {
  t = await openTestEngine();
  connection = openRedis(t.stack.redisUrl, { commandTimeoutMs: 5_000 });
  await connection.ready(5_000);
});
afterAll(async () => {
  await connection.close();
  await t.stop();
});

/** Something of everything that is booked: counters in two places, sizes, a level, keys, a crossing. */
async function traffic(account: string): Promise<void> {
  const at = { account, service: "s", namespace: "Room" };
  await t.engine.limits.setCap(account, "state_requests", { period: "day", capValue: 10, hardStop: true, notifyAtPercent: 80 }, t.clock.now());
  for (let i = 0; i < 9; i++) await t.check({ ...at, usage: { state_requests: 1 }, idempotencyKey: `key-${i}` });
  await t.check({ account, service: "other", usage: { state_sqlite_rows_written: 7, state_sqlite_rows_read: 3 } });
  for (const [object, size] of [["a", 500], ["b", 300], ["a", 200]] as const) await t.check({ ...at, object, storageBytes: { set: size } });
}

/** A worker of its own on the same stores, which dies where it is told. Resolves true when it did its work to the end. */
async function work(account: string, lifetime: Lifetime): Promise<boolean> {
  const dyingConnection: RedisConnection = { ...connection, call: (send) => lifetime.call(() => connection.call(send)) };
  const counters: Counters = { ...createCounters(connection, t.stack.keyPrefix), connection: dyingConnection };
  const { db, close } = dyingDb(t.stack.databaseUrl, lifetime);
  const tellCrossings = () => lifetime.call(() => Promise.resolve());
  try {
    await rollUpAccounts({ db, counters, storageMeter: STORAGE, tellCrossings }, [account], t.clock.now());
    return true;
  } catch (error) {
    if (lifetime.calls === 0) throw error;
    return false;
  } finally {
    await close();
  }
}

/** All that is booked of an account, without its name. */
async function booked(account: string): Promise<unknown> {
  const tables = {
    buckets: sql`select bucket, meter, service, namespace, epoch, quantity from usage_buckets where account = ${account} order by 1, 2, 3, 4`,
    levels: sql`select object, bytes, epoch, seq from object_levels where account = ${account} order by 1`,
    gauges: sql`select meter, bucket, epoch, from_at, until_at, byte_milliseconds, level, seq from gauge_buckets where account = ${account} order by 1, 2`,
    keys: sql`select encode(key_hash, 'hex') as key from idempotency_keys where account = ${account} order by 1`,
  };
  const rows = await Promise.all(Object.entries(tables).map(async ([name, query]) => [name, (await query.execute(t.engine.db)).rows] as const));
  return Object.fromEntries(rows);
}

describe("the roll-up", () => {
  it("killed before and after each of its calls, run again, twice and at once, books the same", { timeout: 60_000 }, async () => {
    const clean = await t.newAccount();
    await traffic(clean);
    const life = new Lifetime(null);
    expect(await work(clean, life)).toBe(true);
    const expected = await booked(clean);
    expect(life.calls).toBeGreaterThan(6);

    const deaths = Array.from({ length: life.calls }, (_, i): Death[] => [
      { call: i + 1, when: "before" },
      { call: i + 1, when: "after" },
    ]).flat();
    for (const death of deaths) {
      const account = await t.newAccount();
      await traffic(account);
      expect(await work(account, new Lifetime(death))).toBe(false);
      await Promise.all([work(account, new Lifetime(null)), work(account, new Lifetime(null))]);
      expect(await work(account, new Lifetime(null))).toBe(true);
      expect({ death, booked: await booked(account) }).toEqual({ death, booked: expected });
      expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(9);
    }
  });
});
