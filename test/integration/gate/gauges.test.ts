import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byteMilliseconds } from "../../../src/usage/byte-milliseconds.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_sqlite_storage_bytes";
const GB = 1_000_000_000;

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const at = (account: string, object: string, storageBytes: { delta: number } | { set: number }) =>
  t.check({ account, service: "s", namespace: "Room", object, storageBytes });
const level = async (account: string) => (await t.engine.usage(account)).usage.meters.month[METER];

describe("storage", () => {
  it("takes measured sizes and differences, per object and account", async () => {
    const account = await t.newAccount("free");
    await at(account, "a", { set: 500 });
    await at(account, "b", { delta: 300 });
    await at(account, "a", { set: 100 });
    await at(account, "a", { set: 100 });
    expect(await level(account)).toBe(400);
  });

  it("clamps below zero and never denies shrinking", async () => {
    const account = await t.newAccount("free");
    await at(account, "a", { set: GB });
    await t.cap(account, METER, "month", 10);
    expect(await at(account, "a", { delta: -5 * GB })).toMatchObject({ allowed: true });
    expect(await level(account)).toBe(0);
  });

  it("denies growth over the object's ceiling and over the account's limit, exactly", async () => {
    const account = await t.newAccount("free");
    expect((await at(account, "o0", { set: GB })).allowed).toBe(true);
    expect((await at(account, "o0", { delta: 1 })).denials).toMatchObject([
      { scope: "object", source: "ceiling", limit: GB, used: GB, requested: 1, resetsAt: null, retryable: false },
    ]);
    for (const object of ["o1", "o2", "o3", "o4"]) expect((await at(account, object, { set: GB })).allowed).toBe(true);
    expect((await at(account, "o5", { set: 1 })).denials).toMatchObject([
      { scope: "account", source: "plan", limit: 5 * GB, used: 5 * GB, period: null, retryable: false },
    ]);
    expect((await at(account, "o1", { set: GB - 1 })).allowed).toBe(true);
    expect((await at(account, "o5", { set: 1 })).allowed).toBe(true);
  });

  it("names every cap that refuses", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "day", 500);
    await t.cap(account, METER, "month", 800);
    const over = (delta: number) => at(account, "a", { delta }).then(({ denials }) => denials.map(({ source, limit }) => [source, limit]));
    expect(await over(501)).toEqual([["cap", 500]]);
    expect(await over(801)).toEqual([
      ["cap", 500],
      ["cap", 800],
    ]);
    await t.cap(account, METER, "month", 500);
    expect(await over(501)).toEqual([["cap", 500]]);
  });

  it("never passes the account's limit through losses of Redis", async () => {
    const account = await t.newAccount("free");
    await t.cap(account, METER, "month", 10_000);
    let stored = 0;
    for (let i = 0; i < 30; i++) {
      if ((await at(account, `o${i}`, { set: 700 })).allowed) stored += 700;
      if (i % 7 === 6) await t.stack.loseRedis();
    }
    expect(stored).toBeLessThanOrEqual(10_000);
    expect(await level(account)).toBe(stored);
  });
});

describe("byte-milliseconds", () => {
  it("are the exact integral of the level, over hours without a change too", async () => {
    const account = await t.newAccount();
    const changes: [ms: number, size: number][] = [
      [0, 5_000_000_000],
      [1_234, 4_999_999_999],
      [1_234, 7],
      [3_600_000 - 1, 6_000_000_000],
      [3_600_000, 1],
      [9 * 3_600_000 + 17, 3_000_000_001],
      [40 * 3_600_000, 0],
    ];
    const start = Date.parse("2026-11-24T10:20:00.000Z");
    t.clock.set(start);
    let expected = 0n;
    let [before, since] = [0, start];
    for (const [ms, size] of changes) {
      t.clock.set(start + ms);
      await at(account, "o", { set: size });
      expected += BigInt(before) * BigInt(start + ms - since);
      [before, since] = [size, start + ms];
    }
    const end = start + 50 * 3_600_000;
    expected += BigInt(before) * BigInt(end - since);
    await t.engine.rollUp();
    expect(await byteMilliseconds(t.engine.db, account, METER, { start, end })).toBe(expected);
  });

  it("carry the level into a month without a single write", async () => {
    const account = await t.newAccount();
    t.clock.set("2026-12-10T00:00:00.000Z");
    await at(account, "o", { set: 1_000 });
    await t.engine.rollUp();
    const january = { start: Date.parse("2027-01-01T00:00:00Z"), end: Date.parse("2027-02-01T00:00:00Z") };
    expect(await byteMilliseconds(t.engine.db, account, METER, january)).toBe(1_000n * BigInt(january.end - january.start));
  });
});
