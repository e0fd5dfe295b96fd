import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { HOUR_MS } from "../../../src/kernel/window.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
let redis: Redis;
beforeAll(async () => {
  t = await openTestEngine();
  redis = new Redis(t.stack.redisServer, { protocol: 2 });
});
afterAll(async () => {
  redis.disconnect();
  await t.stop();
});

const METER = "log_events";
/** As many processes as a day of roll-outs has, or an hour of doubts. */
const SOURCES = 100;

/** An account in whose hour many processes have counted, each one unit more than the one before. */
async function counted(): Promise<{ account: string; key: string; ofSource: (n: number, what?: string) => string }> {
  const account = await t.newAccount("pro");
  await use(account, 1);
  const [key = ""] = await redis.keys(`*:t:${account}:*`);
  const [field = ""] = await redis.hkeys(key);
  const [epoch, , bucket] = field.split("/");
  const ofSource = (n: number, what = METER): string => `${epoch}/source-${n}/${bucket}/api/Room/${what}`;
  for (let n = 1; n <= SOURCES; n++) await redis.hset(key, ofSource(n), n);
  return { account, key, ofSource };
}

const use = (account: string, quantity: number) => t.check({ account, service: "api", namespace: "Room", usage: { [METER]: quantity } });
const rows = async (): Promise<number> => (await t.engine.rollUp()).rows;
const booked = async (account: string): Promise<number> => {
  const found = await t.engine.db
    .selectFrom("usage_buckets")
    .select((e) => e.fn.sum<string>("quantity").as("sum"))
    .where("account", "=", account)
    .executeTakeFirst();
  return Number(found?.sum);
};
const ALL = (SOURCES * (SOURCES + 1)) / 2;

it("what has not grown is neither read nor booked again, however many processes have counted in an hour", async () => {
  const { account, key, ofSource } = await counted();
  expect(await rows()).toBe(SOURCES + 1);
  expect(await booked(account)).toBe(ALL + 1);
  await use(account, 5);
  expect(await rows()).toBe(1);
  expect(await booked(account)).toBe(ALL + 6);
  await redis.hincrby(key, ofSource(7), 10);
  await use(account, 1);
  expect(await rows()).toBe(2);
  expect(await booked(account)).toBe(ALL + 17);
});

it("a total that is counted in several fields is added up from all of them, of which one has changed", async () => {
  const { account, key, ofSource } = await counted();
  await redis.hset(key, ofSource(7, `#${METER},2;`), 50);
  await rows();
  expect(await booked(account)).toBe(ALL + 1 + 100);
  await redis.hincrby(key, ofSource(7, `#${METER},2;`), 1);
  await use(account, 1);
  expect(await rows()).toBe(2);
  expect(await booked(account)).toBe(ALL + 2 + 102);
});

it("totals at rest grow to the unit, whoever rolls up at once", async () => {
  const { account, key, ofSource } = await counted();
  let all = ALL + 1;
  for (let round = 0; round < 10; round++) {
    for (let n = 1; n <= SOURCES; n++) await redis.hincrby(key, ofSource(n), 1);
    await use(account, 1);
    all += SOURCES + 1;
    await Promise.all([rows(), rows(), use(account, 1), rows()]);
    all += 1;
  }
  await rows();
  expect(await booked(account)).toBe(all);
  expect((await t.engine.usage(account)).usage.meters.day[METER]).toBe(1 + 2 * 10);
});

it("where what rests is lost, nothing that was booked or acknowledged is", async () => {
  const { account, key } = await counted();
  await rows();
  await use(account, 5);
  await redis.del(key.replace(":t:", ":b:"));
  await rows();
  expect(await use(account, 2)).toMatchObject({ allowed: true });
  await t.engine.bookOwn();
  await rows();
  expect(await booked(account)).toBe(ALL + 1 + 5 + 2);
});

it("what rests goes with its hour", async () => {
  const { account, key } = await counted();
  await rows();
  expect(await redis.hlen(key.replace(":t:", ":b:"))).toBe(SOURCES + 1);
  expect(await redis.hkeys(key)).toEqual(["+"]);
  t.clock.advance(4 * HOUR_MS);
  await use(account, 1);
  await rows();
  await use(account, 1);
  await rows();
  expect(await redis.keys(`*:[tb]:${account}:*`)).toHaveLength(1);
});
