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
