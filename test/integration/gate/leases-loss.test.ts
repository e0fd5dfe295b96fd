import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../../../src/engine.ts";
import type { LeaseAnswer } from "../../../src/gate/lease-answer.ts";
import { findLease } from "../../../src/ledger/lease-store.ts";
import { readLeaseId } from "../../../src/gate/lease.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

/** What becomes of leases when the store that lent them is gone, or the account's life in it is ended. */

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const METER = "state_requests";
const LIMIT = 1_000;

const lend = (account: string, n: number, engine: Engine = t.engine): Promise<LeaseAnswer> =>
  engine.gate.leases.grant({ account, meters: { [METER]: n } }, t.clock.now());
const settle = (id: string, seq: number, used: number, close = false, engine: Engine = t.engine): Promise<LeaseAnswer> =>
  engine.gate.leases.settle(id, { seq, used: { [METER]: used }, close }, t.clock.now());
const consume = async (account: string, n: number): Promise<boolean> => (await t.check({ account, usage: { [METER]: n } })).allowed;

async function figures(account: string) {
  const { meters } = await t.engine.usage(account);
  const { used, reserved, stranded } = meters.find((m) => m.meter === METER) ?? {};
  return { used, reserved, stranded };
}

/** Takes all that is to be had, in small bites. */
async function spendAll(account: string): Promise<number> {
  let spent = 0;
  for (const bite of [50, 10, 1]) while (await consume(account, bite)) spent += bite;
  return spent;
}

async function capped(): Promise<string> {
  const account = await t.newAccount();
  await t.cap(account, METER, "day", LIMIT);
  return account;
}

describe("a Redis that lost everything", () => {
  it("lends nothing twice, and counts what a lease of before is settled for", async () => {
    const account = await capped();
    const { leaseId } = await lend(account, 600);
    await settle(leaseId, 1, 100);
    await t.stack.loseRedis();
    const spent = await spendAll(account);
    // A chunk may be stranded beside the lease.
    expect(spent).toBeLessThanOrEqual(LIMIT - 600);
    expect(spent).toBeGreaterThanOrEqual(LIMIT - 600 - 200);
    expect(await figures(account)).toMatchObject({ used: 100 + spent, reserved: 500 });
    const late = await settle(leaseId, 2, 450);
    expect(late).toMatchObject({ used: { [METER]: 450 }, granted: { [METER]: 600 }, ended: true, exceeded: false });
    expect(await figures(account)).toMatchObject({ used: 450 + spent, reserved: 150 });
    expect(await settle(leaseId, 2, 460)).toMatchObject({ used: { [METER]: 450 } });
    expect(await settle(leaseId, 3, 600, true)).toMatchObject({ used: { [METER]: 600 }, closed: true });
    expect(await figures(account)).toMatchObject({ used: 600 + spent, reserved: 0 });
    expect(await spendAll(account)).toBe(0);
    await t.engine.rollUp();
    expect(await figures(account)).toMatchObject({ used: 600 + spent });
  });

  it("before the grant was answered again gives the first answer to its key", async () => {
    const account = await capped();
    const request = { account, meters: { [METER]: 100 }, idempotencyKey: "k" };
    const first = await t.engine.gate.leases.grant(request, t.clock.now());
    await t.stack.loseRedis();
    expect(await t.engine.gate.leases.grant(request, t.clock.now())).toMatchObject({
      leaseId: first.leaseId,
      granted: first.granted,
      ended: true,
    });
    expect(await figures(account)).toMatchObject({ reserved: 100 });
  });

  it("counts what only another process had acknowledged, once", async () => {
    const account = await capped();
    const other = await t.another();
    const { leaseId } = await lend(account, 300);
    await settle(leaseId, 1, 120, false, other);
    await t.stack.loseRedis();
    await consume(account, 1);
    await settle(leaseId, 2, 130);
    await other.bookOwn();
    await t.engine.bookOwn();
    expect(await figures(account)).toMatchObject({ used: 131 });
    expect(await settle(leaseId, 3, 300)).toMatchObject({ used: { [METER]: 300 } });
    expect(await figures(account)).toMatchObject({ used: 301, reserved: 0 });
  });

  it("frees no expired lease that is returned unsettled: its holder may have spent it", async () => {
    const account = await capped();
    const { leaseId } = await lend(account, 600);
    await t.stack.loseRedis();
    t.clock.advance(10_000);
    const giveBack = () => t.engine.gate.leases.giveBack(leaseId, t.clock.now());
    expect(await giveBack()).toMatchObject({ closed: false, granted: { [METER]: 600 } });
    expect(await figures(account)).toMatchObject({ used: 0, reserved: 600 });
    expect(await consume(account, 401)).toBe(false);
    expect(await settle(leaseId, 1, 500)).toMatchObject({ closed: false, used: { [METER]: 500 }, exceeded: false });
    expect(await giveBack()).toMatchObject({ closed: true });
    expect(await giveBack()).toMatchObject({ closed: true, used: { [METER]: 500 } });
    expect(await figures(account)).toMatchObject({ used: 500, reserved: 0 });
  });

  it("does not forget what was lent before there was a limit", async () => {
    const account = await t.newAccount();
    const { leaseId } = await lend(account, 500);
    await t.cap(account, METER, "day", 300);
    expect(await consume(account, 1)).toBe(false);
    await t.stack.loseRedis();
    expect(await consume(account, 1)).toBe(false);
    await t.cap(account, METER, "day", LIMIT);
    const spent = await spendAll(account);
    await settle(leaseId, 1, 500);
    const { used } = await figures(account);
    expect(used).toBe(500 + spent);
    expect(used).toBeLessThanOrEqual(LIMIT);
    expect(spent).toBeGreaterThan(300);
  });
});

describe("an operator's reclaim", () => {
  it("frees the store's chunk, never what holders have", async () => {
    const account = await capped();
    const { leaseId } = await lend(account, 250);
    await consume(account, 10);
    await t.stack.loseRedis();
    await consume(account, 1);
    const stranded = (await figures(account)).stranded ?? 0;
    expect(await t.engine.reclaim(account)).toMatchObject([{ quantity: stranded }]);
    expect(await figures(account)).toEqual({ used: 11, reserved: 250, stranded: 0 });
    expect(await spendAll(account)).toBe(LIMIT - 250 - 11);
    await settle(leaseId, 1, 250);
    expect(await figures(account)).toEqual({ used: LIMIT, reserved: 0, stranded: 0 });
  });
});

describe("a change of the calendar", () => {
  it("ends the lease's life, and what it may still spend is lent to nobody in the new windows", async () => {
    const account = await t.newAccount();
    await t.cap(account, METER, "month", LIMIT);
    const { leaseId } = await lend(account, 400);
    await settle(leaseId, 1, 50);
    await t.engine.limits.putAccount(account, { billingAnchorDay: 15 }, t.clock.now());
    expect((await t.engine.usage(account)).windows.month.start).toBe("2026-11-15T00:00:00.000Z");
    expect(await spendAll(account)).toBe(LIMIT - 400);
    expect(await settle(leaseId, 2, 400)).toMatchObject({ exceeded: false, ended: true });
    expect(await figures(account)).toMatchObject({ used: LIMIT, reserved: 0 });
  });
});

describe("an orderly stop", () => {
  it("does not close a life that has lent something", async () => {
    const account = await capped();
    const engine = await t.another();
    const { leaseId } = await lend(account, 700, engine);
    await engine.close();
    expect(await spendAll(account)).toBe(300);
    await settle(leaseId, 1, 700, true);
    expect(await figures(account)).toEqual({ used: LIMIT, reserved: 0, stranded: 0 });
  });

  it("closes one whose leases are settled and returned, and strands nothing", async () => {
    const account = await capped();
    const engine = await t.another();
    const { leaseId } = await lend(account, 700, engine);
    await settle(leaseId, 1, 100, true, engine);
    await engine.close();
    expect(await spendAll(account)).toBe(900);
  });
});

describe("Postgres", () => {
  it("has a lease before its holder hears of it, and every renewal", async () => {
    const account = await capped();
    const { leaseId } = await lend(account, 100);
    const name = readLeaseId(leaseId);
    const row = async () => Object.fromEntries((await findLease(t.engine.db, account, name?.lease ?? ""))?.granted ?? []);
    expect(await row()).toEqual({ [METER]: 100 });
    await t.engine.gate.leases.settle(leaseId, { seq: 1, used: { [METER]: 90 }, renew: { [METER]: 50, kv_reads: 5 } }, t.clock.now());
    expect(await row()).toEqual({ [METER]: 150, kv_reads: 5 });
  });
});

it("leaves the ledger in order", async () => {
  expect((await t.engine.checkInvariants()).filter((r) => r.violations.length > 0)).toEqual([]);
});
