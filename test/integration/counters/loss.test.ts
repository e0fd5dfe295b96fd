import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const consume = (account: string, n: number, idempotencyKey?: string) =>
  t.check({
    account,
    service: "s",
    namespace: "Room",
    usage: { state_requests: n },
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
const used = async (account: string) => (await t.engine.usage(account)).usage.meters.day["state_requests"];

describe("a Redis that lost everything", () => {
  it("comes back with every acknowledged unit, booked or not", async () => {
    const account = await t.newAccount();
    await consume(account, 5);
    await t.engine.rollUp();
    await consume(account, 7);
    await t.stack.loseRedis();
    await consume(account, 1);
    expect(await used(account)).toBe(13);
    await t.engine.rollUp();
    await t.stack.loseRedis();
    expect(await used(account)).toBe(13);
  });

  it("never admits more than the limit, and strands at most what it was lent", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 1_000);
    let admitted = 0;
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 60; i++) admitted += (await consume(account, 5)).allowed ? 5 : 0;
      await t.stack.loseRedis();
    }
    expect(admitted).toBeLessThanOrEqual(1_000);
    // 100 is the chunk of a limit of 1,000.
    expect(admitted).toBeGreaterThanOrEqual(1_000 - 4 * 100);
    expect(await used(account)).toBe(admitted);
  });

  it("repeats the first answer to a key it no longer has", async () => {
    const account = await t.newAccount();
    const first = await consume(account, 3, "key-1");
    await t.stack.loseRedis();
    expect(await consume(account, 3, "key-1")).toEqual(first);
    await expect(consume(account, 4, "key-1")).rejects.toMatchObject({ code: "idempotency_mismatch" });
    expect(await used(account)).toBe(3);
  });

  it("keeps the size of every object", async () => {
    const account = await t.newAccount("free");
    const store = (object: string, bytes: number) =>
      t.check({ account, service: "s", namespace: "Room", object, storageBytes: { set: bytes } });
    await store("a", 700);
    await store("b", 300);
    await t.engine.rollUp();
    await store("b", 500);
    await t.stack.loseRedis();
    const { meters } = await t.check({ account, service: "s", namespace: "Room", object: "b", storageBytes: { delta: 10 } });
    expect(meters["state_sqlite_storage_bytes"]).toMatchObject({ used: 1_210 });
  });

  it("keeps a size that another process told while a check of the same object waited", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 1_000);
    const other = await t.another();
    const write = { account, service: "s", namespace: "Room", object: "a" };
    await t.check({ ...write, storageBytes: { set: 1_000 } });
    await t.engine.rollUp();
    await t.stack.loseRedis();
    await t.check({ account, usage: { log_events: 1 } });
    const sql = postgres(t.stack.databaseUrl, { max: 2, onnotice: () => {} });
    const { waiting } = await sql.begin(async (held) => {
      // Whoever wants to be granted something waits for this, and has looked up how large the object was.
      await held`lock table grants in exclusive mode`;
      const check = t.check({ ...write, usage: { state_requests: 1 }, storageBytes: { delta: 10 }, idempotencyKey: "one" });
      await expect
        .poll(async () => (await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'grant'`).length)
        .toBeGreaterThan(0);
      await other.gate.check({ ...write, storageBytes: { delta: 500 } }, t.clock.now());
      await t.stack.loseRedis();
      return { waiting: check };
    });
    await sql.end();
    expect(await waiting).toMatchObject({ allowed: true });
    await t.engine.rollUp();
    await t.stack.loseRedis();
    // What the account stores is now what its objects do.
    const { meters } = await t.check({ ...write, storageBytes: { delta: 1 } });
    expect(meters["state_sqlite_storage_bytes"]).toMatchObject({ used: 1_511 });
  });

  it("does not lose what only another process acknowledged", async () => {
    const account = await t.newAccount();
    const other = await t.another();
    await other.gate.check({ account, usage: { state_requests: 9 } }, t.clock.now());
    await t.stack.loseRedis();
    await consume(account, 1);
    await other.bookOwn();
    expect(await used(account)).toBe(10);
  });
});

describe("an orderly stop", () => {
  it("strands nothing: the next start may spend the whole limit", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 1_000);
    for (let start = 0; start < 3; start++) {
      const engine = await t.another();
      expect((await engine.gate.check({ account, usage: { state_requests: 10 } }, t.clock.now())).allowed).toBe(true);
      await engine.close();
    }
    expect((await consume(account, 970)).allowed).toBe(true);
    expect((await consume(account, 1)).allowed).toBe(false);
  });
});

describe("idempotency keys", () => {
  it("give the original decision again, also a denial, and count once", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    const first = await consume(account, 8, "a");
    const denied = await consume(account, 8, "b");
    await t.cap(account, "state_requests", "day", 100);
    expect(await consume(account, 8, "a")).toEqual(first);
    expect(await consume(account, 8, "b")).toEqual(denied);
    expect(denied.allowed).toBe(false);
    expect(await used(account)).toBe(8);
  });

  it("are an account's own", async () => {
    const [a, b] = [await t.newAccount(), await t.newAccount()];
    await consume(a, 1, "same");
    await consume(b, 2, "same");
    expect([await used(a), await used(b)]).toEqual([1, 2]);
  });

  it("count once when 200 repeat at once", async () => {
    const account = await t.newAccount();
    const answers = await Promise.all(Array.from({ length: 200 }, () => consume(account, 2, "storm")));
    expect(new Set(answers.map((a) => JSON.stringify(a))).size).toBe(1);
    expect(await used(account)).toBe(2);
  });

  it("are kept for at least 24 hours", async () => {
    const account = await t.newAccount();
    const first = await consume(account, 1, "long");
    t.clock.advance(24 * 3_600_000);
    expect(await consume(account, 1, "long")).toEqual(first);
  });
});
