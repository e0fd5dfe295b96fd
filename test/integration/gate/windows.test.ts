import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BillingCalendar } from "../../../src/kernel/window.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";
const LIMIT = 10;

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const consume = (account: string, quantity: number) => t.check({ account, service: "s", namespace: "Room", usage: { [METER]: quantity } });
const monthUsed = async (account: string) => (await t.engine.usage(account)).usage.meters.month[METER];

async function accountWith(calendar: BillingCalendar): Promise<string> {
  const account = await t.newAccount();
  await t.engine.limits.putAccount(account, { billingAnchorDay: calendar.anchorDay, timezone: calendar.timezone }, t.clock.now());
  return account;
}

/** Fills the limit up to a window's last moment, then looks at both sides of its end. No job runs in between. */
async function expectTurn(account: string, period: "day" | "month", edge: string, next: string): Promise<void> {
  const end = Date.parse(edge);
  t.clock.set(end - 3_600_001);
  await t.cap(account, METER, period, LIMIT);
  expect(await consume(account, LIMIT - 1)).toMatchObject({ allowed: true });
  t.clock.set(end - 1);
  // The window's last unit, and one too many.
  expect(await consume(account, 1)).toMatchObject({ allowed: true });
  const denied = await consume(account, 1);
  expect(denied).toMatchObject({ allowed: false, denials: [{ meter: METER, period, used: LIMIT, limit: LIMIT, resetsAt: edge }] });
  // A unit exactly at the end is the next window's.
  t.clock.set(end);
  const first = await consume(account, 1);
  expect(first.meters[METER]).toMatchObject({ period, used: 1, limit: LIMIT, resetsAt: next });
  t.clock.set(end + 1);
  expect(await consume(account, LIMIT - 1)).toMatchObject({ allowed: true });
  expect(await consume(account, 1)).toMatchObject({ allowed: false, denials: [{ used: LIMIT, resetsAt: next }] });
  const { windows, usage } = await t.engine.usage(account);
  expect([windows[period], usage.meters[period][METER]]).toEqual([{ start: edge, end: next }, LIMIT]);
}

describe("the day", () => {
  it.each([
    ["2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z", "UTC"],
    // The day is UTC's whatever the account's zone, on days of 23 and of 25 hours there too.
    ["2026-03-29T00:00:00.000Z", "2026-03-30T00:00:00.000Z", "Europe/Berlin"],
    ["2026-10-25T00:00:00.000Z", "2026-10-26T00:00:00.000Z", "Europe/Berlin"],
    ["2028-02-29T00:00:00.000Z", "2028-03-01T00:00:00.000Z", "Asia/Kolkata"],
    ["2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z", "UTC"],
  ])("turns at %s", async (edge, next, timezone) => {
    t.clock.set(Date.parse(edge) - 2 * 86_400_000);
    await expectTurn(await accountWith({ anchorDay: 15, timezone }), "day", edge, next);
  });
});

describe("the billing month", () => {
  it.each<[anchorDay: number, timezone: string, edge: string, next: string]>([
    [1, "UTC", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"],
    // Anchors past a month's end are clamped to its last day, and come back.
    [29, "UTC", "2027-02-28T00:00:00.000Z", "2027-03-29T00:00:00.000Z"],
    [29, "UTC", "2028-02-29T00:00:00.000Z", "2028-03-29T00:00:00.000Z"],
    [30, "UTC", "2027-02-28T00:00:00.000Z", "2027-03-30T00:00:00.000Z"],
    [30, "UTC", "2028-02-29T00:00:00.000Z", "2028-03-30T00:00:00.000Z"],
    [31, "UTC", "2027-02-28T00:00:00.000Z", "2027-03-31T00:00:00.000Z"],
    [31, "UTC", "2028-02-29T00:00:00.000Z", "2028-03-31T00:00:00.000Z"],
    [31, "UTC", "2026-04-30T00:00:00.000Z", "2026-05-31T00:00:00.000Z"],
    [31, "UTC", "2026-12-31T00:00:00.000Z", "2027-01-31T00:00:00.000Z"],
    // Berlin's day of 23 hours is 2026-03-29, its day of 25 hours 2026-10-25.
    [29, "Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-04-28T22:00:00.000Z"],
    [30, "Europe/Berlin", "2026-03-29T22:00:00.000Z", "2026-04-29T22:00:00.000Z"],
    [25, "Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-11-24T23:00:00.000Z"],
    [26, "Europe/Berlin", "2026-10-25T23:00:00.000Z", "2026-11-25T23:00:00.000Z"],
    [1, "America/New_York", "2026-11-01T04:00:00.000Z", "2026-12-01T05:00:00.000Z"],
    // Windows that turn inside an hour.
    [1, "Asia/Kolkata", "2026-10-31T18:30:00.000Z", "2026-11-30T18:30:00.000Z"],
    [31, "Asia/Kathmandu", "2026-02-27T18:15:00.000Z", "2026-03-30T18:15:00.000Z"],
    [30, "Asia/Kathmandu", "2028-02-28T18:15:00.000Z", "2028-03-29T18:15:00.000Z"],
    // Lord Howe moves by half an hour on 2026-04-05, from +11:00 to +10:30, and back on 2026-10-04.
    [5, "Australia/Lord_Howe", "2026-04-04T13:00:00.000Z", "2026-05-04T13:30:00.000Z"],
    [6, "Australia/Lord_Howe", "2026-04-05T13:30:00.000Z", "2026-05-05T13:30:00.000Z"],
    [4, "Australia/Lord_Howe", "2026-10-03T13:30:00.000Z", "2026-11-03T13:00:00.000Z"],
    // Beirut skips midnight on 2026-03-29.
    [29, "Asia/Beirut", "2026-03-28T22:00:00.000Z", "2026-04-28T21:00:00.000Z"],
  ])("anchor %i in %s turns at %s", async (anchorDay, timezone, edge, next) => {
    t.clock.set(Date.parse(edge) - 2 * 86_400_000);
    const account = await accountWith({ anchorDay, timezone });
    await expectTurn(account, "month", edge, next);
    // Booked and read back by another process, each unit is in its own month.
    await t.engine.rollUp();
    const other = await t.another();
    expect((await other.usage(account)).usage.meters.month[METER]).toBe(LIMIT);
    await t.stack.loseRedis();
    expect(await monthUsed(account)).toBe(LIMIT);
    expect(await consume(account, 1)).toMatchObject({ allowed: false });
  });
});

describe("a used account whose calendar changes", () => {
  it.each<[anchorDay: number, timezone: string, used: number, resetsAt: string]>([
    [3, "UTC", 15, "2026-12-03T00:00:00.000Z"],
    [4, "UTC", 14, "2026-12-04T00:00:00.000Z"],
    [21, "UTC", 8, "2026-12-21T00:00:00.000Z"],
    [22, "UTC", 15, "2026-11-22T00:00:00.000Z"],
    [13, "Asia/Kolkata", 12, "2026-12-12T18:30:00.000Z"],
    [31, "Asia/Kathmandu", 15, "2026-11-29T18:15:00.000Z"],
  ])("to anchor %i in %s has %i this month", async (anchorDay, timezone, used, resetsAt) => {
    t.clock.set("2026-11-02T00:00:00Z");
    const account = await t.newAccount();
    const stages: [string, number][] = [
      ["2026-11-03T10:00:00Z", 1],
      ["2026-11-12T17:59:59Z", 2],
      ["2026-11-12T19:00:00Z", 4],
      ["2026-11-21T10:00:00Z", 8],
    ];
    for (const [at, quantity] of stages) {
      t.clock.set(at);
      expect(await consume(account, quantity)).toMatchObject({ allowed: true });
    }
    await t.engine.limits.putAccount(account, { billingAnchorDay: anchorDay, timezone }, t.clock.now());
    const report = await t.engine.usage(account);
    expect([report.usage.meters.month[METER], report.windows.month.end]).toEqual([used, resetsAt]);
    // The limit knows it too: exactly what is left passes.
    await t.cap(account, METER, "month", used + 3);
    expect(await consume(account, 4)).toMatchObject({ allowed: false });
    expect(await consume(account, 3)).toMatchObject({ allowed: true });
    await t.engine.limits.putAccount(account, { billingAnchorDay: 1, timezone: "UTC" }, t.clock.now());
    expect(await monthUsed(account)).toBe(18);
  });
});
