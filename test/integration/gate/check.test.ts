import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const place = { service: "s", namespace: "Room" };
const requests = (account: string, n = 1) => t.check({ account, ...place, usage: { state_requests: n } });

describe("check", () => {
  it("counts what it allows and shows the state after it", async () => {
    const account = await t.newAccount("free");
    const decision = await t.check({ account, ...place, usage: { state_requests: 1, state_sqlite_rows_written: 1 } });
    expect(decision).toMatchObject({ allowed: true, denials: [], reservation: null });
    expect(decision.meters["state_requests"]).toEqual({
      period: "day",
      used: 1,
      reserved: 0,
      limit: 100_000,
      remaining: 99_999,
      resetsAt: "2026-11-22T00:00:00.000Z",
    });
  });

  it("counts an operation by the catalogue when usage is left out", async () => {
    const account = await t.newAccount();
    await t.check({ account, ...place, operation: "put" });
    const { usage } = await t.engine.usage(account);
    expect(usage.meters.day).toMatchObject({ state_requests: 1, state_sqlite_rows_written: 1, state_sqlite_rows_read: 0 });
  });

  it("loads an account once, however many come first at once", async () => {
    const account = await t.newAccount();
    const decisions = await Promise.all(Array.from({ length: 40 }, () => requests(account)));
    expect(decisions.filter((d) => d.allowed)).toHaveLength(40);
    const row = await t.engine.db.selectFrom("accounts").select("last_epoch").where("account", "=", account).executeTakeFirst();
    expect(row).toEqual({ last_epoch: 1n });
  });

  it("admits exactly up to a cap, from 2,000 at once", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "month", 1_000);
    const decisions = await Promise.all(Array.from({ length: 2_000 }, () => requests(account)));
    expect(decisions.filter((d) => d.allowed)).toHaveLength(1_000);
    expect(decisions.find((d) => !d.allowed)?.denials).toMatchObject([
      { source: "cap", period: "month", limit: 1_000, used: 1_000, requested: 1, retryable: true, resetsAt: "2026-12-01T00:00:00.000Z" },
    ]);
    await t.engine.rollUp();
    expect((await t.engine.usage(account)).usage.meters.month["state_requests"]).toBe(1_000);
  });

  it("lets exactly the limit pass and not the next unit", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 10);
    expect((await requests(account, 10)).allowed).toBe(true);
    expect((await requests(account, 1)).allowed).toBe(false);
    expect((await requests(account, 0)).allowed).toBe(true);
  });

  it("counts no meter when one refuses, and names all that refuse", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 5);
    await t.cap(account, "state_sqlite_rows_written", "month", 5);
    const denied = await t.check({
      account,
      ...place,
      usage: { state_requests: 6, state_sqlite_rows_written: 6, state_sqlite_rows_read: 1 },
      payloadBytes: 3_000_000,
    });
    expect(denied.denials.map((d) => [d.code, d.meter, d.scope, d.source])).toEqual([
      ["payload_too_large", null, "request", "ceiling"],
      ["limit_exceeded", "state_requests", "account", "cap"],
      ["limit_exceeded", "state_sqlite_rows_written", "account", "cap"],
    ]);
    const { usage } = await t.engine.usage(account);
    expect(usage.meters.day).toMatchObject({ state_requests: 0, state_sqlite_rows_written: 0, state_sqlite_rows_read: 0 });
  });

  it("says that waiting does not help for more than the whole limit", async () => {
    const account = await t.newAccount();
    await t.cap(account, "state_requests", "day", 5);
    const { denials } = await requests(account, 6);
    expect(denials[0]).toMatchObject({ retryable: false, resetsAt: null, period: null, requested: 6 });
  });

  it("peeks without counting", async () => {
    const account = await t.newAccount("free");
    const peeked = await t.check({ account, ...place, usage: { state_requests: 7 }, mode: "peek" });
    expect(peeked).toMatchObject({ allowed: true, meters: { state_requests: { used: 0 } } });
    expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(0);
  });

  it("applies a lowered, raised and removed cap to the very next check, on another process too", async () => {
    const account = await t.newAccount();
    const other = await t.another();
    const there = () => other.gate.check({ account, ...place, usage: { state_requests: 1 } }, t.clock.now());
    expect((await requests(account, 20)).allowed).toBe(true);
    await t.cap(account, "state_requests", "month", 10);
    expect((await there()).allowed).toBe(false);
    await t.cap(account, "state_requests", "month", 21);
    expect((await there()).allowed).toBe(true);
    expect((await there()).allowed).toBe(false);
    await t.engine.limits.removeCap(account, "state_requests", "month", t.clock.now());
    expect((await there()).allowed).toBe(true);
  });

  it("applies a change of plan to the very next check", async () => {
    const account = await t.newAccount("free");
    expect((await requests(account, 100_000)).allowed).toBe(true);
    expect((await requests(account)).allowed).toBe(false);
    await t.engine.limits.changePlan(account, "pro", "now", t.clock.now());
    expect((await requests(account)).allowed).toBe(true);
    await t.engine.limits.changePlan(account, "free", "now", t.clock.now());
    expect((await requests(account)).allowed).toBe(false);
  });

  it("refuses unknown meters, gauges and accounts, and counts nothing", async () => {
    const account = await t.newAccount();
    await expect(t.check({ account, usage: { state_requests: 1, no_such_meter: 1 } })).rejects.toMatchObject({ code: "validation_failed" });
    await expect(t.check({ account, usage: { state_sqlite_storage_bytes: 1 } })).rejects.toMatchObject({ code: "validation_failed" });
    await expect(t.check({ account, operation: "no-such-operation" })).rejects.toMatchObject({ code: "validation_failed" });
    await expect(t.check({ account })).rejects.toMatchObject({ code: "validation_failed" });
    await expect(t.check({ account: "acct_nobody", operation: "put" })).rejects.toMatchObject({ code: "not_found" });
    expect((await t.engine.usage(account)).usage.meters.day["state_requests"]).toBe(0);
  });

  it("refuses what would pass 2^53 − 1 even where nothing limits", async () => {
    const account = await t.newAccount();
    expect((await requests(account, Number.MAX_SAFE_INTEGER - 1)).allowed).toBe(true);
    const denied = await requests(account, 2);
    expect(denied.denials[0]).toMatchObject({ source: "ceiling", limit: Number.MAX_SAFE_INTEGER });
    expect((await requests(account, 1)).allowed).toBe(true);
    await t.engine.rollUp();
    expect((await t.engine.usage(account)).usage.meters.month["state_requests"]).toBe(Number.MAX_SAFE_INTEGER);
  });
});
