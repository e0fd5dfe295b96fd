import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LeaseRequest, LeaseSettle } from "../../../src/gate/lease-request.ts";
import type { LeaseAnswer } from "../../../src/gate/lease-answer.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const METER = "state_requests";

const lend = (account: string, n: number, more: Partial<LeaseRequest> = {}): Promise<LeaseAnswer> =>
  t.engine.gate.leases.grant({ account, meters: { [METER]: n }, ...more }, t.clock.now());
const settle = (id: string, seq: number, used: number, more: Partial<LeaseSettle> = {}): Promise<LeaseAnswer> =>
  t.engine.gate.leases.settle(id, { seq, used: { [METER]: used }, ...more }, t.clock.now());
const giveBack = (id: string): Promise<LeaseAnswer> => t.engine.gate.leases.giveBack(id, t.clock.now());
const consume = async (account: string, n: number): Promise<boolean> => (await t.check({ account, usage: { [METER]: n } })).allowed;
const lent = (answer: LeaseAnswer): number => answer.granted[METER] ?? -1;

async function figures(account: string) {
  const { meters } = await t.engine.usage(account);
  const { used = -1, reserved = -1, state = "none" } = meters.find((m) => m.meter === METER) ?? {};
  return { used, reserved, state };
}

async function ledger(account: string) {
  await t.engine.rollUp();
  const rows = await t.engine.db
    .selectFrom("usage_buckets")
    .select(["bucket", "service", "namespace", "quantity"])
    .where("account", "=", account)
    .orderBy("bucket")
    .orderBy("service")
    .execute();
  return rows.map((r) => [r.bucket.toISOString(), r.service, r.namespace, Number(r.quantity)]);
}

async function capped(limit: number, period: "day" | "month" = "day"): Promise<string> {
  const account = await t.newAccount();
  await t.cap(account, METER, period, limit);
  return account;
}

describe("a lease", () => {
  it("is held against the limit until it is settled or given back", async () => {
    const account = await capped(100);
    const lease = await lend(account, 60, { holder: "worker-1" });
    expect(lease).toMatchObject({
      granted: { [METER]: 60 },
      used: {},
      epoch: 1,
      remaining: { [METER]: 40 },
      expiresAt: "2026-11-21T12:00:05.000Z",
      expiresInMs: 5_000,
      ended: false,
      recall: false,
      windows: {
        day: { start: "2026-11-21T00:00:00.000Z", end: "2026-11-22T00:00:00.000Z" },
        month: { start: "2026-11-01T00:00:00.000Z", end: "2026-12-01T00:00:00.000Z" },
      },
    });
    expect(await figures(account)).toEqual({ used: 0, reserved: 60, state: "ok" });
    expect(await consume(account, 41)).toBe(false);
    expect(await consume(account, 40)).toBe(true);
    expect(await figures(account)).toEqual({ used: 40, reserved: 60, state: "exceeded" });
    expect(await settle(lease.leaseId, 1, 25)).toMatchObject({ used: { [METER]: 25 }, granted: { [METER]: 60 }, exceeded: false });
    expect(await figures(account)).toEqual({ used: 65, reserved: 35, state: "exceeded" });
    expect(await giveBack(lease.leaseId)).toMatchObject({ closed: true, used: { [METER]: 25 } });
    expect(await figures(account)).toEqual({ used: 65, reserved: 0, state: "ok" });
    expect(await consume(account, 35)).toBe(true);
    expect(await consume(account, 1)).toBe(false);
  });

  it("is for as much as there is, down to nothing", async () => {
    const account = await capped(100);
    expect(lent(await lend(account, 70))).toBe(70);
    expect(lent(await lend(account, 70))).toBe(30);
    const empty = await lend(account, 70);
    expect(lent(empty)).toBe(0);
    expect(await settle(empty.leaseId, 1, 0)).toMatchObject({ granted: { [METER]: 0 } });
    expect(await giveBack(empty.leaseId)).toMatchObject({ closed: true });
  });

  it("leaves the last units to others where it is fair", async () => {
    const account = await capped(1_000);
    expect(lent(await lend(account, 300, { fair: true }))).toBe(300);
    // Half of the 700 that are left, for two holders.
    expect(lent(await lend(account, 300, { fair: true }))).toBe(175);
    expect(lent(await lend(account, 10_000, { fair: true }))).toBe(0);
  });

  it("lends what is asked where nothing limits, of several meters at once", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_sqlite_rows_written", "month", 5);
    const lease = await lend(account, 1_000_000, { meters: { [METER]: 1_000_000, state_sqlite_rows_written: 8 } });
    expect(lease.granted).toEqual({ [METER]: 1_000_000, state_sqlite_rows_written: 5 });
    expect(lease.remaining).toEqual({ [METER]: null, state_sqlite_rows_written: 0 });
  });

  it("never lends more than the limit, however many ask at once, beside checks and reservations", async () => {
    const account = await capped(1_000);
    const held = await t.check({ account, usage: { [METER]: 100 }, mode: "reserve" });
    const [leases, checks] = await Promise.all([
      Promise.all(Array.from({ length: 50 }, () => lend(account, 37))),
      Promise.all(Array.from({ length: 200 }, () => consume(account, 1))),
    ]);
    const all = leases.reduce((sum, l) => sum + lent(l), 0) + checks.filter(Boolean).length + 100;
    expect(all).toBe(1_000);
    expect(held.allowed).toBe(true);
    await Promise.all(leases.map((l) => settle(l.leaseId, 1, lent(l), { close: true })));
    expect(await figures(account)).toMatchObject({ used: 900, reserved: 100 });
    await t.engine.gate.release(held.reservation?.id ?? "", t.clock.now());
    expect(await consume(account, 101)).toBe(false);
    expect(await consume(account, 100)).toBe(true);
  });
});

describe("a settle", () => {
  it("that was seen changes nothing, nor one that says less", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 50);
    const first = await settle(leaseId, 7, 20);
    expect(await settle(leaseId, 7, 20)).toEqual(first);
    expect(await settle(leaseId, 7, 30)).toEqual(first);
    expect(await settle(leaseId, 3, 40, { renew: { [METER]: 10 } })).toEqual(first);
    expect(await settle(leaseId, 8, 10)).toMatchObject({ used: { [METER]: 20 } });
    expect(await figures(account)).toMatchObject({ used: 20, reserved: 30 });
    expect(await ledger(account)).toEqual([["2026-11-21T12:00:00.000Z", "", "", 20]]);
  });

  it("may ask for more in the same trip, and repeats what it was given", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 50);
    const renewed = await settle(leaseId, 1, 45, { renew: { [METER]: 30 } });
    expect(renewed).toMatchObject({ granted: { [METER]: 80 }, used: { [METER]: 45 }, remaining: { [METER]: 20 } });
    expect(await settle(leaseId, 1, 45, { renew: { [METER]: 30 } })).toEqual(renewed);
    expect(await settle(leaseId, 2, 80, { renew: { [METER]: 30 } })).toMatchObject({ granted: { [METER]: 100 } });
    expect(await figures(account)).toMatchObject({ used: 80, reserved: 20 });
    expect(await consume(account, 1)).toBe(false);
  });

  it("may name a meter that the lease was not for", async () => {
    const account = await t.newAccount();
    const { leaseId } = await lend(account, 5);
    const renewed = await settle(leaseId, 1, 2, { renew: { kv_reads: 9 } });
    expect(renewed.granted).toEqual({ [METER]: 5, kv_reads: 9 });
  });

  it("of more than was lent counts, and is flagged where it passes a limit", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 50);
    expect(await settle(leaseId, 1, 60)).toMatchObject({ exceeded: false });
    expect(await settle(leaseId, 2, 130)).toMatchObject({ exceeded: true });
    expect(await figures(account)).toEqual({ used: 130, reserved: 0, state: "exceeded" });
    expect(await consume(account, 1)).toBe(false);
  });

  it("says where it was spent, in the ledger too", async () => {
    const account = await t.newAccount();
    const { leaseId } = await lend(account, 50);
    const places = [
      { service: "a", namespace: "Room", used: { [METER]: 3 } },
      { service: "b", used: { [METER]: 4 } },
    ];
    await settle(leaseId, 1, 10, { places });
    await settle(leaseId, 2, 12, {
      places: [{ service: "a", namespace: "Room", used: { [METER]: 5 } }, places[1] ?? { service: "b", used: {} }],
    });
    expect(await ledger(account)).toEqual([
      ["2026-11-21T12:00:00.000Z", "", "", 3],
      ["2026-11-21T12:00:00.000Z", "a", "Room", 5],
      ["2026-11-21T12:00:00.000Z", "b", "", 4],
    ]);
    await expect(settle(leaseId, 3, 8, { places: [{ service: "a", used: { [METER]: 9 } }] })).rejects.toMatchObject({
      code: "validation_failed",
    });
    expect(await figures(account)).toMatchObject({ used: 12, reserved: 38 });
  });

  it("after the lease has expired still counts, and what was not spent stays lent", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 60);
    t.clock.advance(3_600_000);
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 60 });
    expect(await consume(account, 41)).toBe(false);
    expect(await settle(leaseId, 1, 20)).toMatchObject({ ended: true, used: { [METER]: 20 } });
    expect(await figures(account)).toMatchObject({ used: 20, reserved: 40 });
    // In the hour it was lent in.
    expect(await ledger(account)).toEqual([["2026-11-21T12:00:00.000Z", "", "", 20]]);
    t.clock.set("2026-11-21T14:00:00.000Z");
  });

  it("is what gives an expired lease back: returned without it, all of it stays lent", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 60);
    t.clock.advance(10_000);
    expect(await giveBack(leaseId)).toMatchObject({ closed: false, granted: { [METER]: 60 } });
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 60 });
    expect(await consume(account, 41)).toBe(false);
    expect(await settle(leaseId, 1, 20)).toMatchObject({ used: { [METER]: 20 }, exceeded: false });
    expect(await giveBack(leaseId)).toMatchObject({ closed: true });
    expect(await figures(account)).toMatchObject({ used: 20, reserved: 0 });
    expect(await consume(account, 80)).toBe(true);
  });

  it("after it was given back counts too, once", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 60);
    await settle(leaseId, 1, 20);
    await giveBack(leaseId);
    expect(await giveBack(leaseId)).toMatchObject({ closed: true, used: { [METER]: 20 } });
    expect(await settle(leaseId, 2, 25)).toMatchObject({ closed: true, used: { [METER]: 25 } });
    expect(await settle(leaseId, 2, 25)).toMatchObject({ used: { [METER]: 25 } });
    expect(await settle(leaseId, 3, 30, { renew: { [METER]: 5 } })).toMatchObject({ closed: true, granted: { [METER]: 60 } });
    expect(await figures(account)).toMatchObject({ used: 30, reserved: 0 });
    expect((await ledger(account)).map((row) => row[3])).toEqual([30]);
    expect(await consume(account, 71)).toBe(false);
    expect(await consume(account, 70)).toBe(true);
  });

  it("reaches thresholds", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 100);
    await t.engine.rollUp();
    const told = () => t.engine.db.selectFrom("notifications").select("type").where("account", "=", account).orderBy("seq").execute();
    expect(await told()).toEqual([]);
    await settle(leaseId, 1, 100);
    await t.engine.rollUp();
    expect((await told()).map((n) => n.type)).toEqual(["usage.threshold_reached", "usage.limit_reached"]);
  });

  it("keeps the lease alive, but not where a limit was lowered under it", async () => {
    const account = await capped(100);
    const { leaseId, expiresAt } = await lend(account, 60);
    t.clock.advance(3_000);
    const alive = await settle(leaseId, 1, 10);
    expect(Date.parse(alive.expiresAt)).toBe(Date.parse(expiresAt) + 3_000);
    await t.cap(account, METER, "day", 40);
    expect(await t.engine.gate.leases.effectiveBy(account, t.clock.now())).toBe(Date.parse(alive.expiresAt));
    t.clock.advance(1_000);
    const lowered = await settle(leaseId, 2, 20, { renew: { [METER]: 10 } });
    expect(lowered).toMatchObject({ expiresAt: alive.expiresAt, recall: true, granted: { [METER]: 60 } });
    expect(lowered.limitsVersion).toBeGreaterThan(alive.limitsVersion);
    expect(await settle(leaseId, 3, 30, { close: true })).toMatchObject({ closed: true });
    expect(await t.engine.gate.leases.effectiveBy(account, t.clock.now())).toBe(t.clock.now());
    expect(await figures(account)).toMatchObject({ used: 30, reserved: 0 });
    expect(await consume(account, 10)).toBe(true);
  });
});

describe("a denial", () => {
  it("calls on the holders to give back what they do not need", async () => {
    const account = await capped(100);
    const idle = await lend(account, 90);
    expect(await settle(idle.leaseId, 1, 0)).toMatchObject({ recall: false });
    expect(await consume(account, 20)).toBe(false);
    let seq = 1;
    await expect.poll(async () => (await settle(idle.leaseId, ++seq, 0)).recall).toBe(true);
    await giveBack(idle.leaseId);
    expect(await consume(account, 20)).toBe(true);
  });

  it("that nothing they have would help calls on nobody", async () => {
    const account = await capped(100);
    const { leaseId } = await lend(account, 90);
    expect(await consume(account, 101)).toBe(false);
    expect(await settle(leaseId, 1, 90)).toMatchObject({ recall: false });
    expect(await consume(account, 11)).toBe(false);
    expect(await settle(leaseId, 2, 90)).toMatchObject({ recall: false });
  });

  it("of another lease calls on them too", async () => {
    const account = await capped(100);
    const idle = await lend(account, 90);
    await lend(account, 20);
    expect(await settle(idle.leaseId, 1, 0)).toMatchObject({ recall: true });
    t.clock.advance(2_000);
    expect(await settle(idle.leaseId, 2, 0)).toMatchObject({ recall: false });
  });
});

describe("a window's end", () => {
  it("ends the lease, drops what it held, and takes what is settled late into the old window", async () => {
    t.clock.set("2026-11-22T23:59:58.000Z");
    const account = await capped(100);
    const lease = await lend(account, 60);
    expect(lease.expiresAt).toBe("2026-11-23T00:00:00.000Z");
    t.clock.set("2026-11-23T00:00:01.000Z");
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 0 });
    const late = await settle(lease.leaseId, 1, 45, { renew: { [METER]: 10 } });
    expect(late).toMatchObject({ ended: true, granted: { [METER]: 60 }, used: { [METER]: 45 }, windows: lease.windows });
    expect(await consume(account, 100)).toBe(true);
    const { usage } = await t.engine.usage(account);
    expect([usage.meters.day[METER], usage.meters.month[METER]]).toEqual([100, 145]);
    expect(await ledger(account)).toEqual([
      ["2026-11-22T23:00:00.000Z", "", "", 45],
      ["2026-11-23T00:00:00.000Z", "", "", 100],
    ]);
  });

  it("of the day keeps what is lent of the month", async () => {
    t.clock.set("2026-11-24T23:59:58.000Z");
    const account = await capped(100, "month");
    const { leaseId } = await lend(account, 60);
    t.clock.set("2026-11-25T00:00:01.000Z");
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 60 });
    expect(await consume(account, 41)).toBe(false);
    await settle(leaseId, 1, 30, { close: true });
    expect(await figures(account)).toMatchObject({ used: 30, reserved: 0 });
    expect(await consume(account, 70)).toBe(true);
  });

  it("of the month forgets the lease here, and what is settled then is the old month's", async () => {
    t.clock.set("2026-11-30T23:59:58.000Z");
    const account = await capped(100, "month");
    const { leaseId } = await lend(account, 60);
    t.clock.set("2026-12-01T00:00:01.000Z");
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 0 });
    expect(await settle(leaseId, 1, 30)).toMatchObject({ ended: true, used: { [METER]: 30 } });
    expect(await settle(leaseId, 1, 60)).toMatchObject({ used: { [METER]: 30 } });
    expect(await giveBack(leaseId)).toMatchObject({ closed: true });
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 0 });
    expect(await ledger(account)).toEqual([["2026-11-30T23:00:00.000Z", "", "", 30]]);
  });
});

describe("the same idempotencyKey", () => {
  it("gives the same lease, lent once", async () => {
    const account = await capped(100);
    const key = { idempotencyKey: "boot-1" };
    const first = await lend(account, 60, key);
    expect(await lend(account, 60, key)).toEqual(first);
    await expect(lend(account, 61, key)).rejects.toMatchObject({ code: "idempotency_mismatch" });
    await settle(first.leaseId, 1, 10, { close: true });
    expect(await lend(account, 60, key)).toMatchObject({ leaseId: first.leaseId, closed: true, used: { [METER]: 10 } });
    expect(await figures(account)).toMatchObject({ used: 10, reserved: 0 });
  });
});

it("refuses what is no lease", async () => {
  const account = await t.newAccount();
  await expect(lend(account, 1, { meters: { state_sqlite_storage_bytes: 1 } })).rejects.toMatchObject({ code: "validation_failed" });
  await expect(lend(account, 1, { meters: { none: 1 } })).rejects.toMatchObject({ code: "validation_failed" });
  await expect(lend("acct_none", 1)).rejects.toMatchObject({ code: "not_found" });
  const { leaseId } = await lend(account, 1);
  await expect(settle(leaseId.slice(0, -1) + (leaseId.endsWith("a") ? "b" : "a"), 1, 1)).rejects.toMatchObject({ code: "not_found" });
  await expect(settle("lse_nonsense", 1, 1)).rejects.toMatchObject({ code: "not_found" });
  await expect(settle(leaseId, 1, 0, { used: { none: 1 } })).rejects.toMatchObject({ code: "validation_failed" });
});

it("leaves the ledger in order", async () => {
  expect((await t.engine.checkInvariants()).filter((r) => r.violations.length > 0)).toEqual([]);
});
