import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { monthWindow } from "../../../src/kernel/window.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { amounts, Billing, GB } from "../../support/billing.ts";

const STORAGE = "state_sqlite_storage_bytes";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
});
afterAll(() => t.stop());

const storageLine = async (account: string) => (await billing.invoicesOf(account))[0]?.lines.find(({ meter }) => meter === STORAGE);

describe("a level", () => {
  it("is billed in months without a single write, and as what it is in each of them", async () => {
    billing.at("2027-01-01T00:00:00.000Z");
    const account = await billing.newAccount("pro");
    await billing.store(account, 50);
    for (const month of ["02", "03", "04", "05"]) {
      billing.at(`2027-${month}-01T00:00:00.000Z`);
      await billing.run();
      expect(await storageLine(account)).toMatchObject({ quantity: 50 * GB, billable: 45 * GB, amountUsdMicros: 9_000_000 });
    }
  });

  // The month that holds the change of clocks is an hour shorter or longer; a constant level is billed as that level in each.
  it.each([
    ["spring in Berlin", "Europe/Berlin", "2027-03-01", "2027-04-01T00:00:00.000+02:00", 31 * 24 - 1],
    ["autumn in Berlin", "Europe/Berlin", "2027-10-01", "2027-11-01T00:00:00.000+01:00", 31 * 24 + 1],
    ["a month of half an hour's change on Lord Howe", "Australia/Lord_Howe", "2027-04-01", "2027-05-01T00:00:00.000+10:30", 30 * 24 + 0.5],
    ["spring in New York, from the 10th on", "America/New_York", "2027-03-10", "2027-04-10T00:00:00.000-04:00", 31 * 24 - 1],
  ])("is billed exactly over %s", async (_name, timezone, day, end, hours) => {
    const calendar = { anchorDay: Number(day.slice(8)), timezone };
    const month = monthWindow(Date.parse(`${day}T20:00:00Z`), calendar);
    expect([month.end, month.end - month.start]).toEqual([Date.parse(end), hours * 3_600_000]);
    t.clock.set(month.start);
    const account = await billing.newAccount("pro", { billingAnchorDay: calendar.anchorDay, timezone });
    await billing.store(account, 20);
    t.clock.set(month.end);
    await billing.run();
    expect(await storageLine(account)).toMatchObject({ quantity: 20 * GB, amountUsdMicros: 3_000_000 });
  });

  it("that rose in the middle of the month counts for the time it stood", async () => {
    billing.at("2027-02-01T00:00:00.000Z");
    const account = await billing.newAccount("pro");
    billing.at("2027-02-22T00:00:00.000Z");
    await billing.store(account, 40);
    billing.at("2027-03-01T00:00:00.000Z");
    await billing.run();
    // 40 GB for 7 of 28 days: 10 GB on average; 5 × 200,000.
    expect(await storageLine(account)).toMatchObject({ quantity: 10 * GB, amountUsdMicros: 1_000_000 });
  });

  it("of thirds is shown to the byte and rated exactly", async () => {
    billing.at("2027-04-01T00:00:00.000Z");
    const account = await billing.newAccount("pro");
    await billing.store(account, 20);
    billing.at("2027-04-11T00:00:00.000Z");
    await t.check({ account, service: "s", namespace: "Room", object: "o0", storageBytes: { delta: -1 } });
    billing.at("2027-05-01T00:00:00.000Z");
    await billing.run();
    const line = await storageLine(account);
    // 20 × 10^9 − 2/3 on average; (15 × 10^9 − 2/3) ÷ 10^9 × 200,000 = 2,999,999.99987 → 3,000,000.
    expect(line).toMatchObject({ quantity: 19_999_999_999, billable: 14_999_999_999, amountUsdMicros: 3_000_000 });
    expect(line?.explain.text).toContain("59999999998/3 on average".replace("59999999998", "59,999,999,998"));
  });
});

describe("a month's fee", () => {
  // Each account begins on its anchor's eve and its first month is one day: the fee of a day, then that of a whole month.
  const days = Array.from({ length: 31 }, (_, i) => i + 1);
  it.each(days)("of anchor %i is prorated before it and whole from it on", async (anchorDay) => {
    const calendar = { anchorDay, timezone: "UTC" };
    const month = monthWindow(Date.parse("2027-02-10T00:00:00Z"), calendar);
    t.clock.set(month.end - 86_400_000);
    const account = await billing.newAccount("pro", { billingAnchorDay: anchorDay });
    t.clock.set(month.end);
    await billing.run();
    const length = (month.end - month.start) / 86_400_000;
    // 5,000,000 / 28 = 178,571.43 · / 29 = 172,413.79 · / 30 = 166,666.67 · / 31 = 161,290.32
    const ofADay: Record<number, number> = { 28: 178_571, 29: 172_414, 30: 166_667, 31: 161_290 };
    const [first] = await billing.invoicesOf(account);
    expect(first?.period.end).toBe(new Date(month.end).toISOString());
    expect(amounts(first)).toEqual([
      ["subscription", null, 5_000_000],
      ["proration", null, ofADay[length]],
    ]);
    const next = monthWindow(month.end, calendar);
    t.clock.set(next.end);
    await billing.run();
    const [second] = await billing.invoicesOf(account);
    expect(second?.period).toEqual({ start: new Date(next.start).toISOString(), end: new Date(next.end).toISOString() });
    expect(amounts(second)).toEqual([["subscription", null, 5_000_000]]);
  });

  it("after a change of calendar: the open month keeps its edges, the next is what is left to the new anchor", async () => {
    billing.at("2027-06-01T00:00:00.000Z");
    const account = await billing.newAccount("pro");
    await billing.run();
    billing.at("2027-06-20T00:00:00.000Z");
    await t.send("PUT", `/v1/accounts/${account}`, { body: { billingAnchorDay: 11 } });
    billing.at("2027-07-01T00:00:00.000Z");
    await billing.run();
    billing.at("2027-07-11T00:00:00.000Z");
    await billing.run();
    const [stub, june] = await billing.invoicesOf(account);
    expect(june?.period).toEqual({ start: "2027-06-01T00:00:00.000Z", end: "2027-07-01T00:00:00.000Z" });
    // From July 1 to July 11 is 10 of the 30 days from June 11 on: 1,666,666.67.
    expect(amounts(june)).toEqual([["proration", null, 1_666_667]]);
    expect(stub?.period).toEqual({ start: "2027-07-01T00:00:00.000Z", end: "2027-07-11T00:00:00.000Z" });
    expect(amounts(stub)).toEqual([["subscription", null, 5_000_000]]);
  });

  it("of an account that has no invoice yet follows its new calendar at once", async () => {
    billing.at("2027-06-05T00:00:00.000Z");
    const account = await billing.newAccount("pro");
    await billing.run();
    await t.send("PUT", `/v1/accounts/${account}`, { body: { billingAnchorDay: 15 } });
    expect((await billing.upcoming(account)).period).toEqual({ start: "2027-05-15T00:00:00.000Z", end: "2027-06-15T00:00:00.000Z" });
  });
});

it("months that were missed are closed one after the other, each with its own lines, and numbered in their order", async () => {
  billing.at("2028-01-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  for (const month of ["01", "02", "03"]) {
    billing.at(`2028-${month}-15T00:00:00.000Z`);
    await billing.use(account, { state_requests: 1_000_000 + Number(month) * 100_000 });
  }
  billing.at("2028-04-01T12:00:00.000Z");
  await billing.run();
  const found = await billing.invoicesOf(account);
  expect(found.map(({ state, lines }) => [state, lines.at(-1)?.amountUsdMicros])).toEqual([
    ["draft", 45_000],
    ["finalized", 30_000],
    ["finalized", 15_000],
    ["finalized", 5_000_000],
  ]);
  const numbers = found.map(({ number }) => number ?? Infinity);
  expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
});
