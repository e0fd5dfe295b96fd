import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const place = { service: "s", namespace: "Room", object: "room|1;a,b" };
const reserve = (account: string, n: number, ttlSeconds = 60) =>
  t.check({ account, ...place, usage: { state_requests: n }, mode: "reserve", ttlSeconds });
const settle = (id: string, usage?: Record<string, number>) => t.engine.gate.settle(id, usage ? { usage } : {}, t.clock.now());
const release = (id: string) => t.engine.gate.release(id, t.clock.now());
const figures = async (account: string) => {
  const { used, reserved } = (await t.engine.usage(account)).meters.find((m) => m.meter === "state_requests") ?? { used: -1, reserved: -1 };
  return { used, reserved };
};
const idOf = (decision: { reservation: { id: string } | null }): string => decision.reservation?.id ?? "none";

describe("reservations", () => {
  it("hold against the limit, then settle for what happened", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    const held = await reserve(account, 8);
    expect(held).toMatchObject({ allowed: true, meters: { state_requests: { used: 0, reserved: 8, remaining: 2 } } });
    expect((await reserve(account, 3)).allowed).toBe(false);
    expect(await settle(idOf(held), { state_requests: 5 })).toMatchObject({
      status: "settled",
      exceeded: false,
      usage: { state_requests: 5 },
    });
    expect(await figures(account)).toEqual({ used: 5, reserved: 0 });
    expect((await reserve(account, 5)).allowed).toBe(true);
  });

  it("settle as reserved when nothing is said, and count a repeated settle once", async () => {
    const account = await t.newAccount();
    const id = idOf(await reserve(account, 4));
    const first = await settle(id);
    expect(first).toMatchObject({ usage: { state_requests: 4 } });
    expect(await settle(id)).toEqual(first);
    expect(await figures(account)).toEqual({ used: 4, reserved: 0 });
  });

  it("flag more than was held that passes a limit", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    const id = idOf(await reserve(account, 10));
    expect(await settle(id, { state_requests: 12 })).toMatchObject({ exceeded: true });
    expect(await figures(account)).toEqual({ used: 12, reserved: 0 });
    expect((await reserve(account, 1)).allowed).toBe(false);
  });

  it("return what they held when released, once, and not after they were settled", async () => {
    const account = await t.newAccount();
    const id = idOf(await reserve(account, 4));
    expect(await release(id)).toMatchObject({ status: "released" });
    expect(await release(id)).toMatchObject({ status: "released" });
    await expect(settle(id)).rejects.toMatchObject({ code: "conflict" });
    const settled = idOf(await reserve(account, 4));
    await settle(settled);
    await expect(release(settled)).rejects.toMatchObject({ code: "conflict" });
    expect(await figures(account)).toEqual({ used: 4, reserved: 0 });
  });

  it("expire exactly at their time, return once, and cannot be settled then", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    const id = idOf(await reserve(account, 10, 1));
    t.clock.advance(999);
    expect((await reserve(account, 1)).allowed).toBe(false);
    t.clock.advance(1);
    expect((await reserve(account, 10)).allowed).toBe(true);
    await expect(settle(id)).rejects.toMatchObject({ code: "reservation_expired" });
    await expect(release(id)).rejects.toMatchObject({ code: "reservation_expired" });
    expect(await figures(account)).toEqual({ used: 0, reserved: 10 });
  });

  it("are shown as returned at their time, also where nobody asks any more", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    await reserve(account, 7, 1);
    t.clock.advance(999);
    expect(await figures(account)).toEqual({ used: 0, reserved: 7 });
    t.clock.advance(1);
    expect(await figures(account)).toEqual({ used: 0, reserved: 0 });
    expect((await t.engine.usage(account)).usageCaps).toMatchObject([{ reserved: 0, remaining: 10, state: "ok" }]);
  });

  it("hold exactly the limit when 10,000 ask at once, and all expire once", { timeout: 60_000 }, async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 3_000);
    const decisions = await Promise.all(Array.from({ length: 10_000 }, () => reserve(account, 1, 30)));
    expect(decisions.filter((d) => d.allowed)).toHaveLength(3_000);
    expect(await figures(account)).toEqual({ used: 0, reserved: 3_000 });
    t.clock.advance(30_000);
    const again = await Promise.all(Array.from({ length: 4_000 }, () => t.check({ account, usage: { state_requests: 1 } })));
    expect(again.filter((d) => d.allowed)).toHaveLength(3_000);
    expect(await figures(account)).toEqual({ used: 3_000, reserved: 0 });
  });

  it("charge the window they were made in", async () => {
    const account = await t.newAccount();
    t.clock.set("2026-11-30T23:59:59.000Z");
    const id = idOf(await reserve(account, 6));
    t.clock.set("2026-12-01T00:00:01.000Z");
    expect(await figures(account)).toEqual({ used: 0, reserved: 0 });
    await settle(id, { state_requests: 6 });
    expect(await figures(account)).toEqual({ used: 0, reserved: 0 });
    await t.engine.rollUp();
    const rows = await t.engine.db.selectFrom("usage_buckets").select(["bucket", "quantity"]).where("account", "=", account).execute();
    expect(rows).toEqual([{ bucket: new Date("2026-11-30T23:00:00.000Z"), quantity: 6n }]);
  });

  it("reserve growth of storage, for the object and the account", async () => {
    const account = await t.newAccount("free");
    const grow = (delta: number) => t.check({ account, ...place, storageBytes: { delta }, mode: "reserve" });
    const first = await grow(600_000_000);
    expect(first.allowed).toBe(true);
    const refused = await grow(400_000_001);
    expect(refused.denials).toMatchObject([{ scope: "object", source: "ceiling", limit: 1_000_000_000, requested: 400_000_001 }]);
    const { used = 0, reserved = 0, requested = 0 } = refused.denials[0] ?? {};
    expect(used + reserved + requested).toBe(1_000_000_001);
    expect((await grow(400_000_000)).allowed).toBe(true);
    expect(await t.engine.gate.settle(idOf(first), { storageBytes: { set: 1_000 } }, t.clock.now())).toMatchObject({ exceeded: false });
    const level = (await t.engine.usage(account)).meters.find((m) => m.meter === "state_sqlite_storage_bytes");
    expect(level).toMatchObject({ used: 1_000, reserved: 400_000_000 });
  });

  it("never settle a level that no store carries exactly", async () => {
    const account = await t.newAccount();
    const [first, second] = [
      await t.check({ account, ...place, usage: {}, mode: "reserve" }),
      await t.check({ account, usage: {}, mode: "reserve" }),
    ];
    await t.engine.gate.settle(idOf(first), { storageBytes: { set: Number.MAX_SAFE_INTEGER } }, t.clock.now());
    await expect(t.engine.gate.settle(idOf(second), { storageBytes: { delta: 1 } }, t.clock.now())).rejects.toMatchObject({
      code: "validation_failed",
      extra: { errors: [{ path: "storageBytes" }] },
    });
    expect(await bytesOf(account)).toBe(BigInt(Number.MAX_SAFE_INTEGER));
    expect(await t.engine.gate.settle(idOf(second), { storageBytes: { set: 0 } }, t.clock.now())).toMatchObject({ status: "settled" });
  });

  const storage = async (account: string) => {
    const level = (await t.engine.usage(account)).meters.find((m) => m.meter === "state_sqlite_storage_bytes");
    return { used: level?.used, reserved: level?.reserved };
  };
  const settleStored = (id: string, storageBytes: { set: number } | { delta: number }) =>
    t.engine.gate.settle(id, { storageBytes }, t.clock.now());
  const bytesOf = async (account: string): Promise<bigint | undefined> => {
    await t.engine.rollUp();
    const row = await t.engine.db
      .selectFrom("object_levels")
      .select("bytes")
      .where("account", "=", account)
      .where("object", "=", place.object)
      .executeTakeFirst();
    return row?.bytes;
  };

  it("that held no storage count what is stored when they are settled: told or measured, once", async () => {
    const account = await t.newAccount();
    const first = idOf(await reserve(account, 1));
    await settleStored(first, { delta: 700 });
    await settleStored(first, { delta: 700 });
    expect(await storage(account)).toEqual({ used: 700, reserved: 0 });
    await settleStored(idOf(await reserve(account, 1)), { set: 300 });
    expect(await storage(account)).toEqual({ used: 300, reserved: 0 });
    await settleStored(idOf(await reserve(account, 1)), { delta: -1_000 });
    expect(await storage(account)).toEqual({ used: 0, reserved: 0 });
    await settleStored(idOf(await reserve(account, 1)), { delta: 250 });
    expect(await bytesOf(account)).toBe(250n);
    expect(await figures(account)).toEqual({ used: 4, reserved: 0 });
  });

  it("that held no storage add to what Postgres alone still knows of the object", async () => {
    const account = await t.newAccount();
    await t.check({ account, ...place, storageBytes: { set: 5_000 } });
    expect(await bytesOf(account)).toBe(5_000n);
    await t.stack.loseRedis();
    const id = idOf(await reserve(account, 1));
    await settleStored(id, { delta: 1 });
    expect(await storage(account)).toEqual({ used: 5_001, reserved: 0 });
    expect(await bytesOf(account)).toBe(5_001n);
  });

  it("that held no storage say so when what is stored passes a ceiling", async () => {
    const account = await t.newAccount("free");
    const id = idOf(await reserve(account, 1));
    expect(await settleStored(id, { set: 1_000_000_001 })).toMatchObject({ exceeded: true });
    expect(await storage(account)).toEqual({ used: 1_000_000_001, reserved: 0 });
    const within = idOf(await reserve(account, 1));
    expect(await settleStored(within, { set: 1_000_000_000 })).toMatchObject({ exceeded: false });
  });

  it("are unknown where no such account is", async () => {
    await expect(settle(`rsv_${Buffer.from("acct_none").toString("base64url")}.${"a".repeat(20)}`)).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(settle("rsv_nonsense")).rejects.toMatchObject({ code: "not_found" });
  });
});
