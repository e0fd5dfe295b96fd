import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Engine } from "../../../src/engine.ts";
import { keySpace } from "../../../src/counters/keys.ts";
import { HOUR_MS } from "../../../src/kernel/window.ts";
import { UnbookedTotals } from "../../../src/ledger/unbooked.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";
const OTHER = "state_sqlite_rows_written";

let t: TestEngine;
let redis: Redis;
beforeAll(async () => {
  t = await openTestEngine();
  redis = new Redis(t.stack.redisServer);
});
afterAll(async () => {
  redis.disconnect();
  await t.stop();
});

const stateKey = (account: string): string => keySpace(t.stack.keyPrefix).state(account);
/** Whether the full decision has packed the meter anew meanwhile: the shortest way leaves it as it is. */
const packed = (account: string, meter = METER): Promise<Buffer | null> => redis.hgetBuffer(stateKey(account), `m:${meter}`);
const isOpen = async (account: string): Promise<boolean> => (await redis.hexists(stateKey(account), "g")) === 1;
const use = (account: string, quantity = 1, engine: Engine = t.engine) =>
  engine.gate.check({ account, service: "s", namespace: "Room", usage: { [METER]: quantity, [OTHER]: 2 * quantity } }, t.clock.now());
const usedOf = async (account: string, meter = METER): Promise<number | undefined> =>
  (await t.engine.usage(account)).usage.meters.month[meter];

async function bookedOf(account: string, meter = METER): Promise<bigint> {
  await t.engine.rollUp();
  const rows = await t.engine.db
    .selectFrom("usage_buckets")
    .select("quantity")
    .where("account", "=", account)
    .where("meter", "=", meter)
    .execute();
  return rows.reduce((sum, { quantity }) => sum + quantity, 0n);
}

describe("the shortest way", () => {
  it("is open after a full decision; it counts exactly, and shows what that would", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "day", 1_000);
    await use(account);
    const before = await packed(account);
    const decision = await use(account, 3);
    expect(await packed(account)).toEqual(before);
    expect(decision).toMatchObject({ allowed: true, reservation: null, denials: [] });
    const peeked = await t.check({ account, usage: { [METER]: 0, [OTHER]: 0 }, mode: "peek" });
    expect(decision.meters).toEqual(peeked.meters);
    expect(decision.meters[METER]).toMatchObject({ period: "day", used: 4, limit: 1_000, remaining: 996 });
    expect(decision.meters[OTHER]).toMatchObject({ used: 8 });
    expect(await usedOf(account)).toBe(4);
    expect(await bookedOf(account)).toBe(4n);
    expect(await bookedOf(account, OTHER)).toBe(8n);
  });

  it("is open to every process at once, each with what it has learnt", async () => {
    const account = await t.newAccount();
    const other = await t.another();
    await use(account);
    await use(account, 1, other);
    const before = await packed(account);
    for (let i = 0; i < 5; i++) await Promise.all([use(account), use(account, 1, other)]);
    expect(await packed(account)).toEqual(before);
    expect((await use(account)).meters[METER]?.used).toBe(13);
    expect((await use(account, 1, other)).meters[METER]?.used).toBe(14);
    expect(await bookedOf(account)).toBe(14n);
  });

  it("counts what asks for nothing of a meter that is used up", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "day", 90);
    await use(account, 90);
    const check = () => t.check({ account, usage: { [METER]: 0, [OTHER]: 1 } });
    await check();
    const before = await packed(account, OTHER);
    expect((await check()).meters[METER]).toMatchObject({ used: 90, remaining: 0 });
    expect(await packed(account, OTHER)).toEqual(before);
  });

  it("shows nothing used while a correction has given back more than was", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "month", 100);
    await use(account, 10);
    await t.engine.rollUp();
    await t.engine.correct(account, { meter: METER, quantity: -30, reason: "given back", idempotencyKey: "gift" }, "operator");
    const shown: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) shown.push((await use(account, 5)).meters[METER]?.used);
    expect(shown).toEqual([0, 0, 0, 0, 5, 10]);
  });

  const told = async (account: string): Promise<string[]> => {
    const rows = await t.engine.db
      .selectFrom("notifications")
      .select(["type", "data"])
      .where("account", "=", account)
      .orderBy("seq")
      .execute();
    return rows.map(({ type, data }) => `${type} ${(data as { used: number }).used}`);
  };

  it("crosses thresholds, which are told once, with how far it has come by then", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "day", 100);
    for (let i = 0; i < 79; i++) await use(account);
    const before = await packed(account);
    await use(account, 1);
    await use(account, 4);
    expect(await packed(account)).toEqual(before);
    await t.engine.rollUp();
    expect(await told(account)).toEqual(["usage.threshold_reached 84"]);
    await use(account, 1);
    await use(account, 15);
    await t.engine.rollUp();
    await t.engine.rollUp();
    expect(await told(account)).toEqual(["usage.threshold_reached 84", "usage.limit_reached 100"]);
  });

  it.each<[string, (account: string) => Promise<unknown>]>([
    ["the day turns", () => Promise.resolve(t.clock.advance(24 * HOUR_MS))],
    ["the cap is raised", (account) => t.cap(account, METER, "day", 10_000)],
    ["Redis is told of a grant", (account) => use(account, 150)],
  ])("has crossed a threshold before %s: it is told", async (_name, happens) => {
    const account = await t.newAccount();
    await t.cap(account, METER, "day", 300);
    for (let i = 0; i < 3; i++) await use(account, 20);
    const before = await packed(account);
    // Within what is granted, and beyond 80 % of what the account is told of.
    await t.cap(account, METER, "day", 100);
    await use(account, 1);
    const again = await packed(account);
    await use(account, 19);
    await use(account, 1);
    expect(before).not.toEqual(again);
    expect(await packed(account)).toEqual(again);
    await happens(account);
    await use(account, 0);
    await t.engine.rollUp();
    expect((await told(account))[0]).toBe("usage.threshold_reached 81");
  });
});

/** What happens to an account that is on the shortest way, after which the next check must go the whole way. */
const closing: [name: string, happens: (account: string) => Promise<unknown>][] = [
  ["its usage is booked", () => t.engine.rollUp()],
  ["a cap is set", (account) => t.cap(account, METER, "day", 5_000)],
  ["the plan changes", (account) => t.engine.limits.putAccount(account, { plan: "free" }, t.clock.now())],
  ["something is reserved", (account) => t.check({ account, usage: { [METER]: 1 }, mode: "reserve" })],
  [
    "a reservation is settled",
    async (account) => {
      const { reservation } = await t.check({ account, usage: { [METER]: 1 }, mode: "reserve" });
      await use(account, 0);
      await t.engine.gate.settle(reservation?.id ?? "", { usage: { [METER]: 0 } }, t.clock.now());
    },
  ],
  ["an hour begins", () => Promise.resolve(t.clock.advance(HOUR_MS))],
  ["a day begins", () => Promise.resolve(t.clock.advance(24 * HOUR_MS))],
  ["Redis forgets everything", () => t.stack.loseRedis()],
  [
    "Redis loses the hour's totals",
    (account) => redis.del(keySpace(t.stack.keyPrefix).totals(account, Math.floor(t.clock.now() / HOUR_MS) * HOUR_MS)),
  ],
];

describe("is closed when", () => {
  it.each(closing)("%s; nothing is lost or counted twice by it", async (_name, happens) => {
    const account = await t.newAccount();
    for (let i = 0; i < 3; i++) await use(account);
    const before = await packed(account);
    expect(await isOpen(account)).toBe(true);
    await happens(account);
    expect(await use(account)).toMatchObject({ allowed: true });
    expect(await packed(account)).not.toEqual(before);
    await use(account);
    expect(await bookedOf(account)).toBe(5n);
    expect(await usedOf(account)).toBe(5);
  });
});

it("shows what is reserved, and no longer when its time is over", async () => {
  const account = await t.newAccount();
  await use(account);
  await t.check({ account, usage: { [METER]: 5 }, mode: "reserve", ttlSeconds: 60 });
  expect((await use(account)).meters[METER]).toMatchObject({ used: 2, reserved: 5 });
  expect((await use(account)).meters[METER]).toMatchObject({ used: 3, reserved: 5 });
  t.clock.advance(60_000);
  expect((await use(account)).meters[METER]).toMatchObject({ used: 4, reserved: 0 });
});

it("copies each check of a call under the name Redis counted it by, also where an answer is lost while they are in line", async () => {
  const account = await t.newAccount();
  const added = vi.spyOn(UnbookedTotals.prototype, "add");
  await use(account);
  const [unbooked] = added.mock.contexts as UnbookedTotals[];
  added.mockRestore();
  expect(unbooked).toBeInstanceOf(UnbookedTotals);
  const before = await packed(account);
  const inLine = [use(account), use(account), use(account)];
  unbooked?.renew();
  await Promise.all(inLine);
  expect(await packed(account)).toEqual(before);
  expect(await bookedOf(account)).toBe(4n);
  // Now the copies are booked too: under another name they would add to what is booked.
  await t.stack.loseRedis();
  await use(account);
  expect(await bookedOf(account)).toBe(5n);
  expect(await usedOf(account)).toBe(5);
});

describe("limits", () => {
  it("are reached exactly, and told, by checks of two processes that come all at once", async () => {
    const [account, free] = [await t.newAccount(), await t.newAccount()];
    const other = await t.another();
    await t.cap(account, METER, "day", 500);
    await Promise.all([use(account), use(account, 1, other), use(free)]);
    const engines = [t.engine, other];
    const answers = await Promise.all(
      Array.from({ length: 1_200 }, (_, i) => use(i % 4 === 3 ? free : account, 1, engines[i % 2]).then((decision) => ({ i, decision }))),
    );
    const allowed = answers.filter(({ i, decision }) => i % 4 !== 3 && decision.allowed).length;
    expect(allowed).toBe(498);
    expect(answers.every(({ i, decision }) => i % 4 !== 3 || decision.allowed)).toBe(true);
    expect(await usedOf(account)).toBe(500);
    expect(await bookedOf(account)).toBe(500n);
    expect(await bookedOf(free)).toBe(301n);
    const told = await t.engine.db.selectFrom("notifications").select("type").where("account", "=", account).orderBy("seq").execute();
    expect(told.map(({ type }) => type)).toEqual(["usage.threshold_reached", "usage.limit_reached"]);
  });

  it("that have no room for one of two meters count neither", async () => {
    const account = await t.newAccount();
    await t.cap(account, OTHER, "day", 10);
    await use(account, 1);
    await use(account, 1);
    expect(await use(account, 4)).toMatchObject({ allowed: false, denials: [{ meter: OTHER, limit: 10, used: 4, requested: 8 }] });
    expect(await use(account, 3)).toMatchObject({ allowed: true });
    expect([await usedOf(account), await usedOf(account, OTHER)]).toEqual([5, 10]);
  });
});
