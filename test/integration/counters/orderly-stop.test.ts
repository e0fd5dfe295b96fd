import { Cluster, Redis } from "ioredis";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { keySpace } from "../../../src/counters/keys.ts";
import { nodeUrl } from "../../../src/stores/redis-cluster.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
let sql: postgres.Sql;
beforeAll(async () => {
  t = await openTestEngine();
  sql = postgres(t.stack.databaseUrl, { max: 2, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await t.stop();
});

const recalls = async (): Promise<number> => Number((await sql<{ seq: string }[]>`select seq from recalls`)[0]?.seq ?? 0);
const used = async (account: string): Promise<number> => (await t.engine.usage(account)).usage.meters.day["log_events"] ?? 0;

it("an account that a stopped process had opened is loaded by another without a call on any, with all that was counted", async () => {
  const other = await t.another();
  const accounts = await Promise.all(Array.from({ length: 5 }, () => t.newAccount("free")));
  const log = { usage: { log_events: 3 }, idempotencyKey: "once" };
  const decided = await Promise.all(accounts.map((account) => other.gate.check({ account, ...log }, t.clock.now())));
  await other.close();
  const before = await recalls();
  // Asked for again elsewhere, each key is known and counts once.
  const again = await Promise.all(accounts.map((account) => t.check({ account, ...log })));
  expect(again.map(({ decisionId }) => decisionId)).toEqual(decided.map(({ decisionId }) => decisionId));
  // Redis has every key of that life: none is looked up in Postgres, as all were for two days after each restart.
  await sql.begin(async (held) => {
    await held`lock table idempotency_keys in access exclusive mode`;
    for (const account of accounts) await t.check({ account, ...log, idempotencyKey: "another" });
  });
  for (const account of accounts) expect(await used(account)).toBe(6);
  expect(await recalls()).toBe(before);
});

const GB = 1_000_000_000;
/** Requests a day on the Free plan. A cap would have the account loaded by who sets it, and it is closed by who loaded it. */
const LIMIT = 100_000;
const METERS = { requests: "state_requests", bytes: "state_sqlite_storage_bytes" };
const figures = async (account: string, name: string) => {
  const { used: spent, reserved, remaining, stranded } = (await t.engine.usage(account)).meters.find(({ meter }) => meter === name) ?? {};
  return { used: spent, reserved, remaining, stranded };
};

/** 10 requests and 100 bytes used, and a reservation of 200 requests and the rest of an object's ceiling, by a process that has stopped since. */
async function reservedBeforeStop() {
  const [other, account] = [await t.another(), await t.newAccount("free")];
  const place = { account, service: "s", namespace: "Room", object: "a|b" };
  await other.gate.check({ ...place, usage: { [METERS.requests]: 10 }, storageBytes: { set: 100 } }, t.clock.now());
  const held = { usage: { [METERS.requests]: 200 }, storageBytes: { delta: GB - 100 }, mode: "reserve" as const, ttlSeconds: 1_800 };
  const { reservation } = await other.gate.check({ ...place, ...held }, t.clock.now());
  await other.close();
  return { account, place, id: reservation?.id ?? "" };
}

it("what a stopped process had reserved is held on, of the account and of the object, and settled once", async () => {
  const { account, place, id } = await reservedBeforeStop();
  const ask = async (quantity: number) => (await t.check({ account, usage: { [METERS.requests]: quantity } })).allowed;
  expect(await ask(LIMIT - 209)).toBe(false);
  expect(await ask(LIMIT - 210)).toBe(true);
  expect(await figures(account, METERS.requests)).toEqual({ used: LIMIT - 200, reserved: 200, remaining: 0, stranded: 0 });
  expect(await figures(account, METERS.bytes)).toEqual({ used: 100, reserved: GB - 100, remaining: 4 * GB, stranded: 0 });
  const { denials } = await t.check({ ...place, storageBytes: { delta: 1 } });
  expect(denials).toMatchObject([{ scope: "object", used: 100, reserved: GB - 100, requested: 1 }]);
  const settled = await t.engine.gate.settle(id, {}, t.clock.now());
  expect(settled).toMatchObject({ status: "settled", exceeded: false, usage: { [METERS.requests]: 200 } });
  expect(await t.engine.gate.settle(id, {}, t.clock.now())).toEqual(settled);
  await t.engine.rollUp();
  expect(await figures(account, METERS.requests)).toEqual({ used: LIMIT, reserved: 0, remaining: 0, stranded: 0 });
  expect(await figures(account, METERS.bytes)).toEqual({ used: GB, reserved: 0, remaining: 4 * GB, stranded: 0 });
});

const loads = (account: string) => t.check({ account, usage: { log_events: 1 } });

it("what is held on is granted to the life that holds it, so no other life can be granted it", async () => {
  const { account, place } = await reservedBeforeStop();
  await loads(account);
  // The other half of a Redis that split in two: it knows nothing of the account, and of the first half only what Postgres knows.
  await t.stack.loseRedis();
  const ask = async (quantity: number) => (await t.check({ account, usage: { [METERS.requests]: quantity } })).allowed;
  expect(await ask(LIMIT - 209)).toBe(false);
  expect(await ask(LIMIT - 210)).toBe(true);
  const store = async (object: string) => (await t.check({ ...place, object, storageBytes: { delta: GB } })).allowed;
  for (const object of ["b", "c", "d"]) expect(await store(object)).toBe(true);
  // Of five GB one is held, and 100 bytes of the rest are used.
  expect(await store("e")).toBe(true);
  expect((await t.check({ ...place, object: "f", storageBytes: { delta: 1 } })).allowed).toBe(false);
});

it("of processes that come at once after a stop, one goes on with what is held, and all use its life", async () => {
  const { account, id } = await reservedBeforeStop();
  const others = [await t.another(), await t.another()];
  const before = await recalls();
  const decisions = await Promise.all(
    [t.engine, ...others].map((engine) => engine.gate.check({ account, usage: { [METERS.requests]: 5 } }, t.clock.now())),
  );
  expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true]);
  expect(await figures(account, METERS.requests)).toEqual({ used: 25, reserved: 200, remaining: LIMIT - 225, stranded: 0 });
  expect(await t.engine.gate.settle(id, {}, t.clock.now())).toMatchObject({ status: "settled", exceeded: false });
  expect(await recalls()).toBe(before);
  await Promise.all(others.map((other) => other.close()));
});

it("what was held is lost with a process that began the life that goes on with it, and never installed it", async () => {
  const { account, id } = await reservedBeforeStop();
  let decided: Promise<{ allowed: boolean }> = Promise.reject(new Error("not asked"));
  decided.catch(() => {});
  await sql.begin(async (other) => {
    await other`update accounts set epoch = last_epoch + 1, last_epoch = last_epoch + 1 where account = ${account}`;
    decided = loads(account);
    await expect
      .poll(async () => (await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'last_epoch'`).length)
      .toBe(1);
  });
  expect(await decided).toMatchObject({ allowed: true });
  await expect(t.engine.gate.settle(id, {}, t.clock.now())).rejects.toMatchObject({ code: "reservation_expired" });
  expect(await figures(account, METERS.requests)).toEqual({ used: 10, reserved: 0, remaining: LIMIT - 10, stranded: 0 });
});

it("what a stopped process had reserved returns once its time is up", async () => {
  const { account, place, id } = await reservedBeforeStop();
  expect(await figures(account, METERS.requests)).toMatchObject({ reserved: 200 });
  t.clock.advance(1_800_000);
  expect(await figures(account, METERS.requests)).toEqual({ used: 10, reserved: 0, remaining: LIMIT - 10, stranded: 0 });
  expect(await figures(account, METERS.bytes)).toEqual({ used: 100, reserved: 0, remaining: 5 * GB - 100, stranded: 0 });
  expect((await t.check({ ...place, storageBytes: { delta: GB - 100 } })).allowed).toBe(true);
  await expect(t.engine.gate.settle(id, {}, t.clock.now())).rejects.toMatchObject({ code: "reservation_expired" });
});

it("a level that was granted and not reached is free again, however often processes stop", async () => {
  const account = await t.newAccount("free");
  for (let stops = 0; stops < 3; stops++) {
    const other = await t.another();
    await other.gate.check({ account, storageBytes: { delta: 1 } }, t.clock.now());
    await other.close();
  }
  expect(await figures(account, METERS.bytes)).toEqual({ used: 3, reserved: 0, remaining: 5 * GB - 3, stranded: 0 });
});

it("an account that was lost after that is not taken for one that was closed", async () => {
  const [first, account] = [await t.another(), await t.newAccount()];
  await first.gate.check({ account, usage: { log_events: 1 } }, t.clock.now());
  await first.close();
  await t.check({ account, usage: { log_events: 1 } });
  await t.stack.loseRedis();
  const before = await recalls();
  await t.check({ account, usage: { log_events: 1 } });
  expect(await recalls()).toBe(before + 1);
  expect(await used(account)).toBe(3);
});

it("an account that was lost is loaded by who comes again, when the call for it was answered too late for who came first", async () => {
  const account = await t.newAccount();
  const check = () => t.check({ account, usage: { log_events: 1 } });
  await check();
  // Lives, and answers no call on it until it is told to.
  const slow = { source: `slow-${account}`, heard: 0 };
  const report = () =>
    sql`insert into sources values (${slow.source}, clock_timestamp() + interval '1 hour', ${slow.heard})
        on conflict (source) do update set heard = excluded.heard`;
  try {
    await report();
    await t.stack.loseRedis();
    await expect(check()).rejects.toMatchObject({ code: "unavailable" });
    slow.heard = await recalls();
    await report();
    // It answers none that come after: a call of its own would find it silent again.
    await expect.poll(() => check().catch(() => null)).toMatchObject({ allowed: true });
  } finally {
    await sql`delete from sources where source = ${slow.source}`;
  }
  expect(await used(account)).toBe(2);
});

it("a process that takes long to close its epochs keeps no other waiting", async () => {
  const [other, account] = [await t.another(), await t.newAccount("free")];
  await other.gate.check({ account, usage: { log_events: 1 } }, t.clock.now());
  let closed: Promise<void> = Promise.resolve();
  await sql.begin(async (held) => {
    // Whoever seals what the account was granted waits for this.
    await held`select * from grants where account = ${account} for update`;
    closed = other.close();
    await expect
      .poll(async () => (await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'sealed_at'`).length)
      .toBe(1);
    await t.engine.reclaim(await t.newAccount());
  });
  await closed;
  const sources = await sql`select source from sources where seen_at > clock_timestamp() - interval '3 seconds'`;
  expect(sources).toHaveLength(1);
});

it("the next life knows nothing of a meter that only the last one had", async () => {
  const [other, account] = [await t.another(), await t.newAccount("free")];
  await other.gate.check({ account, usage: { log_events: 1, state_requests: 2 } }, t.clock.now());
  await other.close();
  const { redisUrl, keyPrefix } = t.stack;
  const redis = typeof redisUrl === "string" ? new Redis(redisUrl) : new Cluster(redisUrl.map(nodeUrl));
  try {
    const state = keySpace(keyPrefix).state(account);
    // As if the catalogue had lost it since.
    await redis.hset(state, "m:lost_meter", (await redis.hgetBuffer(state, "m:log_events")) ?? "");
    await t.check({ account, usage: { state_requests: 3 } });
    expect(await redis.hexists(state, "m:lost_meter")).toBe(0);
  } finally {
    redis.disconnect();
  }
  const { day } = (await t.engine.usage(account)).usage.meters;
  expect(day).toMatchObject({ log_events: 1, state_requests: 5 });
});
