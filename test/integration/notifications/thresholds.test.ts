import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tellWindowResets } from "../../../src/notifications/window-resets.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const use = (account: string, n: number) => t.check({ account, usage: { [METER]: n } });
const cap = (account: string, capValue: number, options: { notifyAtPercent?: number; hardStop?: boolean; period?: "day" | "month" } = {}) =>
  t.engine.limits.setCap(account, METER, { period: "day", hardStop: true, notifyAtPercent: 80, ...options, capValue }, t.clock.now());

interface Told {
  percent: number;
  limit: number;
  source: string;
  period: string;
  used: number;
  windowStart: string;
}

async function told(account: string): Promise<string[]> {
  await t.engine.rollUp();
  const rows = await t.engine.db
    .selectFrom("notifications")
    .select(["type", "data"])
    .where("account", "=", account)
    .where("type", "in", ["usage.threshold_reached", "usage.limit_reached"])
    .orderBy("seq")
    .execute();
  return rows.map(({ type, data }) => {
    const { percent, limit, source } = data as Told;
    return `${type.slice("usage.".length)} ${percent}% of ${limit} (${source})`;
  });
}

type Step = number | (() => unknown);
/** What an account does, and what it must be told, in order. Numbers are units used. */
const table: [name: string, steps: (account: string) => Step[], expected: string[]][] = [
  ["one unit before the threshold tells nothing", () => [79], []],
  ["exactly at the threshold it is told", () => [80], ["threshold_reached 80% of 100 (cap)"]],
  ["one after it is told once", () => [81], ["threshold_reached 80% of 100 (cap)"]],
  ["further use tells nothing more", () => [80, 1, 1, 1], ["threshold_reached 80% of 100 (cap)"]],
  ["exactly at the limit it is told", () => [80, 20], ["threshold_reached 80% of 100 (cap)", "limit_reached 100% of 100 (cap)"]],
  ["a jump over two tells both, in order", () => [100], ["threshold_reached 80% of 100 (cap)", "limit_reached 100% of 100 (cap)"]],
  ["a denied unit tells nothing", () => [79, 22], []],
  [
    "raising the limit re-arms",
    (account) => [100, () => cap(account, 200), 60],
    ["threshold_reached 80% of 100 (cap)", "limit_reached 100% of 100 (cap)", "threshold_reached 80% of 200 (cap)"],
  ],
  [
    "a cap set under what is used is told at once",
    (account) => [50, () => cap(account, 40)],
    ["threshold_reached 80% of 40 (cap)", "limit_reached 100% of 40 (cap)"],
  ],
  ["setting the same cap again tells nothing more", (account) => [80, () => cap(account, 100), 1], ["threshold_reached 80% of 100 (cap)"]],
  [
    "a soft cap is told too",
    (account) => [() => cap(account, 10, { hardStop: false }), 12],
    ["threshold_reached 80% of 10 (cap)", "limit_reached 100% of 10 (cap)"],
  ],
  [
    "at 100 % there is one, not two",
    (account) => [() => cap(account, 10, { notifyAtPercent: 100 }), 10],
    ["limit_reached 100% of 10 (cap)"],
  ],
  [
    "at 1 % of 150 the second unit is it",
    (account) => [() => cap(account, 150, { notifyAtPercent: 1 }), 1, 1],
    ["threshold_reached 1% of 150 (cap)"],
  ],
];

describe("thresholds", () => {
  it.each(table)("%s", async (_name, steps, expected) => {
    const account = await t.newAccount();
    await cap(account, 100);
    for (const step of steps(account)) await (typeof step === "number" ? use(account, step) : step());
    expect(await told(account)).toEqual(expected);
    expect(await told(account)).toEqual(expected);
  });

  it("are told of a plan's hard limit and of what a paid plan includes", async () => {
    const [free, pro] = [await t.newAccount("free"), await t.newAccount("pro")];
    await use(free, 100_000);
    await use(pro, 1_000_000);
    expect(await told(free)).toEqual(["threshold_reached 80% of 100000 (plan)", "limit_reached 100% of 100000 (plan)"]);
    expect(await told(pro)).toEqual(["threshold_reached 80% of 1000000 (plan)", "limit_reached 100% of 1000000 (plan)"]);
  });

  it("are told when a reservation is settled over them", async () => {
    const account = await t.newAccount();
    await cap(account, 100);
    const held = await t.check({ account, usage: { [METER]: 90 }, mode: "reserve" });
    expect(await told(account)).toEqual([]);
    await t.engine.gate.settle(held.reservation?.id ?? "", {}, t.clock.now());
    expect(await told(account)).toEqual(["threshold_reached 80% of 100 (cap)"]);
  });

  it("are told of a level", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_sqlite_storage_bytes", "month", 1_000);
    await t.check({ account, service: "s", namespace: "Room", object: "o", storageBytes: { set: 850 } });
    expect(await told(account)).toEqual(["threshold_reached 80% of 1000 (cap)"]);
  });

  it("stand when the window turned before anybody looked, and are told again in the next", async () => {
    const account = await t.newAccount();
    await cap(account, 100);
    t.clock.set("2026-11-22T23:59:59.999Z");
    await use(account, 80);
    await use(account, 20);
    t.clock.set("2026-11-23T00:00:00.000Z");
    await use(account, 85);
    const expected = ["threshold_reached 80% of 100 (cap)", "limit_reached 100% of 100 (cap)", "threshold_reached 80% of 100 (cap)"];
    expect(await told(account)).toEqual(expected);
    const days = await t.engine.db.selectFrom("notifications").select("data").where("account", "=", account).orderBy("seq").execute();
    expect(days.map(({ data }) => (data as Told).windowStart.slice(0, 10)).sort()).toEqual(["2026-11-22", "2026-11-22", "2026-11-23"]);
  });
});

describe("the end of a window", () => {
  const resets = async (account: string) => {
    await tellWindowResets(t.engine.db, t.engine.catalog, t.clock.now());
    const rows = await t.engine.db
      .selectFrom("notifications")
      .select("data")
      .where("account", "=", account)
      .where("type", "=", "usage.window_reset")
      .execute();
    return rows.map(({ data }) => (data as Told).windowStart);
  };

  it("is told once to whom it unblocks, and to nobody else", async () => {
    const [stopped, warned] = [await t.newAccount(), await t.newAccount()];
    const day = new Date(t.clock.now()).toISOString().slice(0, 10);
    for (const account of [stopped, warned]) await cap(account, 100);
    await use(stopped, 100);
    await use(warned, 90);
    await told(stopped);
    expect(await resets(stopped)).toEqual([]);
    t.clock.advance(86_400_000);
    expect((await use(stopped, 1)).allowed).toBe(true);
    expect(await resets(stopped)).toEqual([`${day}T00:00:00.000Z`]);
    expect(await resets(stopped)).toHaveLength(1);
    expect(await resets(warned)).toEqual([]);
  });

  it("a change of plan is told in the statement that makes it", async () => {
    const account = await t.newAccount("free");
    await t.engine.limits.changePlan(account, "pro", "now", t.clock.now());
    await t.engine.limits.putAccount(account, { plan: "free" }, t.clock.now());
    await t.engine.limits.putAccount(account, { plan: "free" }, t.clock.now());
    const rows = await t.engine.db
      .selectFrom("notifications")
      .select("data")
      .where("account", "=", account)
      .where("type", "=", "subscription.changed")
      .orderBy("seq")
      .execute();
    expect(rows.map(({ data }) => data)).toMatchObject([
      { account, plan: "pro", previousPlan: "free" },
      { account, plan: "free", previousPlan: "pro" },
    ]);
  });
});
