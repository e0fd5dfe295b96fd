import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { branchName } from "../../../src/counters/branch-names.ts";
import { keySpace } from "../../../src/counters/keys.ts";
import type { Engine } from "../../../src/engine.ts";
import type { CheckRequest } from "../../../src/gate/check-request.ts";
import { hourOf } from "../../../src/gate/operation.ts";
import { DAY_MS } from "../../../src/kernel/window.ts";
import { EngineProcess } from "../../support/engine-child.ts";
import { NOON, openTestEngine, type TestEngine } from "../../support/engine.ts";

/** Accounts whose budget is spread over four slots (docs/decisions/0041): what is decided and shown is what one slot would. */

const METER = "state_requests";
const SLOTS = 4;
/** Of every three accounts two are spread, the third is not: to be compared with. */
const HOT = new Map<string, number>(Array.from({ length: 60 }, (_, i) => [`acct_${i + 1}`, SLOTS] as const).filter((_, i) => i % 3 !== 2));

let t: TestEngine;
let engines: Engine[] = [];
let redis: Redis;
let account = "";
beforeAll(async () => {
  t = await openTestEngine({ hotAccounts: HOT });
  engines = [t.engine, await t.another()];
  redis = new Redis(t.stack.redisServer);
});
afterAll(async () => {
  redis.disconnect();
  await t.stop();
});
beforeEach(async () => {
  account = await newAccount(true);
});

async function newAccount(isHot: boolean): Promise<string> {
  for (;;) {
    const name = await t.newAccount();
    if (HOT.has(name) === isHot) return name;
  }
}

const now = (): number => t.clock.now();
const branchKey = (index: number, of = account): string => keySpace(t.stack.keyPrefix).state(branchName(of, index));

async function use(quantity = 1, engine = t.engine, of = account): Promise<boolean> {
  return (await engine.gate.check({ account: of, usage: { [METER]: quantity } }, now())).allowed;
}

/** So many checks at once, from both engines in turn; answers how much was allowed. */
async function burst(checks: number, quantity = 1, of = account): Promise<number> {
  const answers = await Promise.all(Array.from({ length: checks }, (_, i) => use(quantity, engines[i % engines.length], of)));
  return answers.filter(Boolean).length * quantity;
}

/** One check after the other, until not even one unit is allowed. */
async function spendRest(): Promise<number> {
  let spent = 0;
  for (const bite of [10, 1]) while (await use(bite)) spent += bite;
  return spent;
}

async function figures(engine: Engine = t.engine, of = account) {
  const { meters } = await engine.usage(of);
  const { used, reserved, remaining, stranded } = meters.find((m) => m.meter === METER) ?? {};
  return { used, reserved, remaining, stranded };
}

async function booked(of = account): Promise<number> {
  for (const engine of engines) {
    await engine.bookOwn();
    await engine.rollUp();
  }
  const rows = await t.engine.db
    .selectFrom("usage_buckets")
    .select("quantity")
    .where("account", "=", of)
    .where("meter", "=", METER)
    .execute();
  return rows.reduce((sum, { quantity }) => sum + Number(quantity), 0);
}

/** Forgets one branch, with what it has counted. */
async function lose(index: number, of = account): Promise<void> {
  const keys = keySpace(t.stack.keyPrefix);
  const name = branchName(of, index);
  expect(await redis.del(keys.state(name), keys.totals(name, hourOf(now())))).toBe(2);
}

describe("a hot account", () => {
  it("counts in every slot, and hits its limit exactly", async () => {
    await t.cap(account, METER, "day", 5_000);
    let used = 0;
    for (let i = 0; i < 4; i++) used += await burst(200);
    expect(used).toBe(800);
    for (const index of [1, 2, 3]) expect(await redis.hstrlen(branchKey(index), "q"), `the room of one counter at branch ${index}`).toBe(8);
    expect(await figures()).toEqual({ used: 800, reserved: 0, remaining: 4_200, stranded: 0 });
    used += await burst(700, 7);
    expect(await figures(engines[1])).toEqual({ used, reserved: 0, remaining: 5_000 - used, stranded: 0 });
    expect(used).toBe(5_000 - (4_200 % 7));
    used += await burst(20);
    expect(used).toBe(5_000);
    const denied = await t.check({ account, usage: { [METER]: 1 } });
    expect(denied.denials).toMatchObject([{ code: "limit_exceeded", limit: 5_000, used: 5_000, reserved: 0, requested: 1 }]);
    expect(await booked()).toBe(5_000);
  });

  it("answers as an account in one slot", async () => {
    const plain = await newAccount(false);
    const both = [account, plain];
    for (const of of both) {
      await t.cap(of, METER, "day", 3_000);
      await t.cap(of, METER, "month", 8_000);
      for (let i = 0; i < 3; i++) expect(await burst(150, 2, of)).toBe(300);
    }
    const ask = async (request: Omit<CheckRequest, "account">): Promise<void> => {
      const [ours, theirs] = await Promise.all(both.map((of) => t.check({ ...request, account: of })));
      const shown = (decision: NonNullable<typeof ours>, of: string): string =>
        JSON.stringify({ ...decision, decisionId: null, reservation: null }).replaceAll(of, "acct");
      expect(ours && shown(ours, account)).toBe(theirs && shown(theirs, plain));
    };
    await ask({ usage: { [METER]: 5 }, mode: "peek" });
    await ask({ usage: { [METER]: 2_101 }, mode: "peek" });
    await ask({ usage: { [METER]: 2_101 } });
    await ask({ usage: { [METER]: 2_101 }, idempotencyKey: "k" });
    await ask({ usage: { [METER]: 2_000 }, idempotencyKey: "j" });
    await ask({ usage: { [METER]: 60 }, mode: "reserve" });
    await ask({ usage: { [METER]: 41 } });
    await ask({ usage: { [METER]: 40 } });
    await ask({ usage: { [METER]: 1 } });
    const [ours, theirs] = await Promise.all(both.map((of) => t.engine.usage(of)));
    const figuresOf = (report: typeof ours) => report && { usage: report.usage, meters: report.meters, caps: report.usageCaps };
    expect(figuresOf(ours)).toEqual(figuresOf(theirs));
    expect(await figures()).toEqual({ used: 2_940, reserved: 60, remaining: 0, stranded: 0 });
  });

  it("is told of a percentage once", async () => {
    await t.cap(account, METER, "day", 1_000);
    for (let i = 0; i < 4; i++) expect(await burst(50, 4)).toBe(200);
    await t.engine.rollUp();
    await engines[1]?.rollUp();
    expect(await burst(50, 4)).toBe(200);
    await booked();
    const told = await t.engine.db.selectFrom("notifications").select("data").where("account", "=", account).orderBy("seq").execute();
    const of = { meter: METER, period: "day", source: "cap", limit: 1_000 };
    expect(told.map(({ data }) => data)).toMatchObject([
      { ...of, percent: 80, used: 800 },
      { ...of, percent: 100, used: 1_000 },
    ]);
  });

  it("begins a day anew, and goes on with the month", async () => {
    await t.cap(account, METER, "day", 2_000);
    await t.cap(account, METER, "month", 3_000);
    expect(await burst(250, 6)).toBe(1_500);
    t.clock.advance(DAY_MS);
    let used = 0;
    for (let i = 0; i < 3; i++) used += await burst(250, 3);
    expect(used).toBe(1_500);
    expect((await t.engine.usage(account)).usage.meters).toMatchObject({ day: { [METER]: 1_500 }, month: { [METER]: 3_000 } });
    expect(await booked()).toBe(3_000);
    t.clock.set(Date.parse(NOON));
  });

  it("goes by a changed limit from the moment it is answered", async () => {
    expect(await burst(300, 2)).toBe(600);
    await t.cap(account, METER, "day", 700);
    expect(await burst(300)).toBe(100);
    await t.cap(account, METER, "day", 2_000);
    expect(await burst(400, 2)).toBe(800);
    await t.cap(account, METER, "day", 1_000);
    expect(await burst(200)).toBe(0);
    await t.cap(account, METER, "day", 1_600);
    expect(await burst(400)).toBe(100);
    expect(await figures()).toEqual({ used: 1_600, reserved: 0, remaining: 0, stranded: 0 });
  });

  it("lends holders what its branches have not spent", async () => {
    await t.cap(account, METER, "day", 4_000);
    expect(await burst(200)).toBe(200);
    const lease = await t.engine.gate.leases.grant({ account, meters: { [METER]: 3_800 } }, now());
    expect(lease.granted).toEqual({ [METER]: 3_800 });
    expect(await burst(20)).toBe(0);
  });

  it("leaves nothing idle behind an orderly stop", async () => {
    const third = await t.another();
    const cap = { period: "day", capValue: 4_000, hardStop: true, notifyAtPercent: 80 } as const;
    await third.limits.setCap(account, METER, cap, now());
    expect(await use(10, third)).toBe(true);
    const asks = Array.from({ length: 200 }, () => use(1, third));
    await Promise.all(asks);
    await third.close();
    const epochs = await t.engine.db.selectFrom("grants").select("sealed_at").where("account", "=", account).execute();
    expect(epochs.length).toBeGreaterThan(0);
    expect(epochs.every(({ sealed_at }) => sealed_at !== null)).toBe(true);
    expect(await burst(398, 10)).toBe(3_790);
    expect(await figures()).toEqual({ used: 4_000, reserved: 0, remaining: 0, stranded: 0 });
  });

  it("keeps what it used through a change of calendar, and what its branches had is lent anew", async () => {
    await t.cap(account, METER, "month", 3_000);
    expect(await burst(300)).toBe(300);
    await t.engine.limits.putAccount(account, { billingAnchorDay: 15 }, now());
    let used = 300;
    for (let i = 0; i < 4; i++) used += await burst(250, 3);
    expect(used).toBe(3_000);
    expect(await figures()).toEqual({ used: 3_000, reserved: 0, remaining: 0, stranded: 0 });
  });
});

describe("a hot account loses", () => {
  it("a branch: nothing is passed, nothing is lost, and the rest may be reclaimed", async () => {
    await t.cap(account, METER, "day", 5_000);
    let used = await burst(400);
    await lose(2);
    used += await spendRest();
    expect(used).toBeLessThanOrEqual(5_000);
    const { stranded = 0 } = await figures();
    expect(used + stranded).toBe(5_000);
    expect(await figures(engines[1])).toMatchObject({ used, reserved: 0 });
    expect(await booked()).toBe(used);
    await t.engine.reclaim(account);
    used += await spendRest();
    expect(used).toBe(5_000);
    expect(await booked()).toBe(5_000);
  });

  it("a branch with checks under way, over and over", async () => {
    await t.cap(account, METER, "day", 6_000);
    let [used, unknown] = [0, 0];
    for (let round = 0; round < 6; round++) {
      const spending = Promise.allSettled(Array.from({ length: 300 }, (_, i) => use(2, engines[i % 2])));
      const name = branchName(account, 1 + (round % 3));
      const keys = keySpace(t.stack.keyPrefix);
      await redis.del(keys.state(name), keys.totals(name, hourOf(now())));
      for (const answer of await spending) {
        if (answer.status === "rejected") unknown += 2;
        else if (answer.value) used += 2;
      }
    }
    const inLedger = await booked();
    expect(inLedger).toBeLessThanOrEqual(6_000);
    expect(inLedger).toBeGreaterThanOrEqual(used);
    expect(inLedger).toBeLessThanOrEqual(used + unknown);
    expect((await figures()).used).toBe(inLedger);
  });

  it("its home, with its branches still there", async () => {
    await t.cap(account, METER, "day", 4_000);
    let used = await burst(400);
    const keys = keySpace(t.stack.keyPrefix);
    await redis.del(keys.state(account), keys.totals(account, hourOf(now())));
    used += await spendRest();
    const { stranded = 0 } = await figures();
    expect(used + stranded).toBe(4_000);
    expect(await booked()).toBe(used);
  });

  it("a process: what it was answered is in the ledger, and what it was lent is the others'", async () => {
    await t.cap(account, METER, "day", 3_000);
    const child = await EngineProcess.start({
      databaseUrl: t.stack.databaseUrl,
      redisUrl: t.stack.redisUrl,
      redisPrefix: t.stack.keyPrefix,
      now: now(),
      hotAccounts: [[account, SLOTS]],
    });
    const { allowed } = (await child.order({ kind: "use", account, meter: METER, times: 500 })) as { allowed: number };
    await child.kill();
    expect(allowed).toBe(500);
    let used = allowed;
    for (let i = 0; i < 4; i++) used += await burst(200, 4);
    expect(used).toBe(3_000);
    expect(await booked()).toBe(3_000);
    expect(await figures()).toEqual({ used: 3_000, reserved: 0, remaining: 0, stranded: 0 });
  });
});
