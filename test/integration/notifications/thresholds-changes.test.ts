import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { iso } from "../../../src/kernel/window.ts";
import { deleteCap, putCap } from "../../../src/limits/cap-store.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";
const STORAGE = "state_sqlite_storage_bytes";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const use = (account: string, n: number) => t.check({ account, usage: { [METER]: n } });
const change = (capValue: number) => ({ period: "day" as const, hardStop: true, notifyAtPercent: 80, capValue });
const setCap = (account: string, capValue: number) => t.engine.limits.setCap(account, METER, change(capValue), t.clock.now());
/** The first half of setCap: Postgres has the new cap, and Redis has not heard of it. */
const setCapInPostgres = (account: string, capValue: number) => putCap(t.engine.db, account, METER, change(capValue), t.clock.now());

interface Told {
  percent: number;
  limit: number;
  source: string;
  windowStart: string;
  windowEnd: string;
}

async function rows(account: string): Promise<Told[]> {
  await t.engine.rollUp();
  const found = await t.engine.db
    .selectFrom("notifications")
    .select("data")
    .where("account", "=", account)
    .where("type", "in", ["usage.threshold_reached", "usage.limit_reached"])
    .orderBy("seq")
    .execute();
  return found.map(({ data }) => data as Told);
}
const told = async (account: string): Promise<string[]> =>
  (await rows(account)).map(({ percent, limit, source }) => `${percent}% of ${limit} (${source})`);

describe("what is used between the two halves of a change is told under the limits that were in force", () => {
  /** Begins with a cap of 100 a day on pro; each step is what happens, in order. */
  it.each<[string, ((account: string) => Promise<unknown>)[], string[]]>([
    ["a cap that is raised", [(a) => setCapInPostgres(a, 200), (a) => use(a, 85), (a) => setCap(a, 200)], ["80% of 100 (cap)"]],
    [
      "a cap that is raised, and nothing was rolled up before",
      [(a) => use(a, 69), (a) => setCapInPostgres(a, 200), (a) => use(a, 30), (a) => setCap(a, 200), (a) => use(a, 60)],
      ["80% of 100 (cap)", "100% of 100 (cap)", "80% of 200 (cap)"],
    ],
    [
      "a cap that is lowered",
      [(a) => setCapInPostgres(a, 90), (a) => use(a, 94), (a) => setCap(a, 90)],
      ["80% of 100 (cap)", "80% of 90 (cap)", "100% of 90 (cap)"],
    ],
    [
      "a cap that is removed",
      [
        (a) => deleteCap(t.engine.db, a, METER, "day"),
        (a) => use(a, 99),
        (a) => t.engine.limits.changePlan(a, "pro", "now", t.clock.now()),
      ],
      ["80% of 100 (cap)", "100% of 100 (cap)"],
    ],
    [
      "a roll-up in between",
      [(a) => setCapInPostgres(a, 200), (a) => use(a, 85), () => t.engine.rollUp(), (a) => setCap(a, 200)],
      ["80% of 100 (cap)"],
    ],
    [
      "caps that follow each other at once",
      [(a) => use(a, 50), (a) => setCapInPostgres(a, 60), (a) => setCap(a, 60), (a) => setCap(a, 500), (a) => use(a, 400)],
      ["80% of 60 (cap)", "80% of 500 (cap)"],
    ],
  ])("%s", async (_name, steps, expected) => {
    const account = await t.newAccount();
    await setCap(account, 100);
    // Granted all of it: what follows is decided in Redis alone.
    await use(account, 1);
    for (const step of steps) await step(account);
    expect(await told(account)).toEqual(expected);
    expect(await told(account)).toHaveLength(expected.length);
  });

  it("a plan", async () => {
    const account = await t.newAccount("free");
    await use(account, 1);
    const at = iso(t.clock.now());
    await sql`insert into subscriptions (account, starts_at, plan, created_at) values (${account}, ${at}, 'pro', ${at})
              on conflict (account, starts_at) do update set plan = excluded.plan`.execute(t.engine.db);
    expect(await use(account, 99_999)).toMatchObject({ allowed: true });
    await t.engine.limits.changePlan(account, "pro", "now", t.clock.now());
    expect(await told(account)).toEqual(["80% of 100000 (plan)", "100% of 100000 (plan)"]);
  });

  it("a calendar: what was reached belongs to the billing month of then", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "month", 100);
    await use(account, 85);
    await t.engine.limits.putAccount(account, { billingAnchorDay: 15, timezone: "Asia/Kolkata" }, t.clock.now());
    expect((await rows(account)).map(({ percent, windowStart, windowEnd }) => [percent, windowStart, windowEnd])).toEqual([
      [80, "2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"],
      // In the new month it stands reached, too.
      [80, "2026-11-14T18:30:00.000Z", "2026-12-14T18:30:00.000Z"],
    ]);
  });
});

it("what was reached in a window that is over is not told of limits set since", async () => {
  const account = await t.newAccount();
  await setCap(account, 100);
  const day = iso(t.clock.now()).slice(0, 10);
  await use(account, 85);
  t.clock.set(`${day}T23:59:59.999Z`);
  t.clock.advance(1);
  await setCap(account, 50);
  expect((await rows(account)).map(({ percent, limit, windowStart }) => [percent, limit, windowStart.slice(0, 10)])).toEqual([
    [80, 100, day],
  ]);
});

describe("a level", () => {
  const store = (account: string, bytes: number) =>
    t.check({ account, service: "s", namespace: "Room", object: "o", storageBytes: { set: bytes } });

  it("that has been at its limit and has shrunk before anybody looked was at its limit", async () => {
    const account = await t.newAccount();
    await t.cap(account, STORAGE, "month", 1_000);
    await store(account, 1_000);
    await store(account, 850);
    expect(await told(account)).toEqual(["80% of 1000 (cap)", "100% of 1000 (cap)"]);
  });

  it("that stands reached is told again in the next window, once", async () => {
    const account = await t.newAccount();
    await t.cap(account, STORAGE, "day", 1_000);
    await store(account, 850);
    const day = iso(t.clock.now()).slice(0, 10);
    expect((await rows(account)).map(({ windowStart }) => windowStart.slice(0, 10))).toEqual([day]);
    t.clock.advance(86_400_000);
    await use(account, 1);
    await use(account, 1);
    const next = iso(t.clock.now()).slice(0, 10);
    expect((await rows(account)).map(({ windowStart }) => windowStart.slice(0, 10))).toEqual([day, next]);
  });
});

it("a lease reaches thresholds by what it settles, not by what it is lent, and under the limits of its time", async () => {
  const account = await t.newAccount();
  await setCap(account, 100);
  const { leases } = t.engine.gate;
  const { leaseId } = await leases.grant({ account, meters: { [METER]: 100 } }, t.clock.now());
  expect(await told(account)).toEqual([]);
  await leases.settle(leaseId, { seq: 1, used: { [METER]: 79 } }, t.clock.now());
  expect(await told(account)).toEqual([]);
  await setCapInPostgres(account, 200);
  await leases.settle(leaseId, { seq: 2, used: { [METER]: 100 } }, t.clock.now());
  await setCap(account, 200);
  expect(await told(account)).toEqual(["80% of 100 (cap)", "100% of 100 (cap)"]);
});

describe("usage that comes past the checks", () => {
  let events = 0;
  const event = (account: string, quantity: number) =>
    t.engine.recordEvents(
      [
        {
          specversion: "1.0",
          id: `e${++events}`,
          source: "thresholds",
          type: "weir.usage",
          subject: account,
          data: { usage: { [METER]: quantity } },
        },
      ],
      { account: null },
    );
  const correct = (account: string, quantity: number) =>
    t.engine.correct(account, { meter: METER, quantity, reason: "a test", idempotencyKey: String(quantity) }, "key");
  const BOTH = ["80% of 100000 (plan)", "100% of 100000 (plan)"];

  it.each([
    ["an event", event],
    ["a correction", correct],
  ])("reaches thresholds by %s, of an account that nothing was ever checked for, too", async (_what, come) => {
    const [untouched, checked] = [await t.newAccount("free"), await t.newAccount("free")];
    await use(checked, 1);
    for (const account of [untouched, checked]) {
      await come(account, 100_000);
      expect(await told(account)).toEqual(BOTH);
    }
  });

  it("is told before the answer where it is a change of the account's own", async () => {
    const account = await t.newAccount();
    await event(account, 90);
    await setCap(account, 100);
    const { rows: found } = await sql`select 1 from notifications where account = ${account} and type like 'usage.%'`.execute(t.engine.db);
    expect(found).toHaveLength(1);
  });
});
