import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { amounts, Billing, GB, type Invoice } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
});
afterAll(() => t.stop());

const at = (time: string) => billing.at(time);
const run = () => billing.run();
const invoicesOf = (account: string) => billing.invoicesOf(account);
const upcoming = (account: string) => billing.upcoming(account);
const newAccount = (plan: string) => billing.newAccount(plan);
const use = (account: string, usage: Record<string, number>) => billing.use(account, usage);

describe("the seed plan", () => {
  it("Pro, 1,500,000 requests, 60 M rows written, 80 GB for 10 days, then 200 GB for 20 of 30", async () => {
    at("2027-04-01T00:00:00.000Z");
    const account = await newAccount("pro");
    await billing.store(account, 80);
    await run();
    // The fee of April is billed as April begins, on the invoice of the month before.
    expect(await invoicesOf(account)).toMatchObject([
      {
        state: "draft",
        number: null,
        period: { start: "2027-03-01T00:00:00.000Z", end: "2027-04-01T00:00:00.000Z" },
        lines: [{ kind: "subscription", amountUsdMicros: 5_000_000, period: { end: "2027-05-01T00:00:00.000Z" } }],
      },
    ]);
    at("2027-04-11T00:00:00.000Z");
    await billing.store(account, 200);
    await use(account, { state_requests: 1_500_000, state_sqlite_rows_written: 60_000_000 });
    at("2027-04-30T23:59:59.999Z");
    const last = await upcoming(account);
    at("2027-05-01T00:00:00.000Z");
    await run();
    const [draft] = await invoicesOf(account);
    expect(draft).toEqual(last);
    expect(amounts(draft)).toEqual([
      ["subscription", null, 5_000_000],
      ["usage", "state_requests", 75_000], // 500,000 / 1,000,000 × 150,000
      ["usage", "state_sqlite_rows_written", 10_000_000], // 10 × 1,000,000
      ["usage", "state_sqlite_storage_bytes", 31_000_000], // (80 × 10 + 200 × 20) / 30 = 160; 155 × 200,000
    ]);
    expect(draft?.totalUsdMicros).toBe(46_075_000);
    expect(draft?.lines[3]).toMatchObject({
      quantity: 160 * GB,
      included: 5 * GB,
      billable: 155 * GB,
      unitPrice: 200_000,
      unit: "GB-month",
    });
  });
});

describe("the life of an invoice", () => {
  it("draft at the month's end, final a day later, paid; nothing changes it then", async () => {
    at("2027-06-01T00:00:00.000Z");
    const account = await newAccount("pro");
    await use(account, { state_requests: 2_000_000 });
    at("2027-07-01T00:00:00.000Z");
    await run();
    at("2027-07-01T23:59:59.999Z");
    expect(await run()).toMatchObject({ closed: 0, drafted: 0, finalized: expect.any(Number) });
    const [draft] = await invoicesOf(account);
    expect(draft).toMatchObject({ state: "draft", number: null, finalizesAt: "2027-07-02T00:00:00.000Z", amountDueUsdMicros: 0 });
    expect(await t.send("POST", `/v1/invoices/${draft!.id}/pay`)).toMatchObject({ status: 409, body: { code: "conflict" } });
    // A draft shows what came meanwhile: an event of the month that has ended.
    const event = { specversion: "1.0", id: "late", source: "s", type: "weir.usage", subject: account, time: "2027-06-30T23:59:59.999Z" };
    await t.send("POST", "/v1/events", { body: { ...event, data: { usage: { state_requests: 1_000_000 } } } });
    expect(amounts((await t.send("GET", `/v1/invoices/${draft!.id}`, { account })).body as unknown as Invoice)).toContainEqual([
      "usage",
      "state_requests",
      300_000,
    ]);
    at("2027-07-02T00:00:00.000Z");
    await run();
    const [invoice] = await invoicesOf(account);
    expect(invoice).toMatchObject({ state: "finalized", finalizedAt: "2027-07-02T00:00:00.000Z", amountDueUsdMicros: 5_300_000 });
    expect(invoice?.number).toBeGreaterThan(0);
    const told = await t.send("GET", "/v1/notifications", { account });
    expect(told.body["notifications"]).toContainEqual(
      expect.objectContaining({
        type: "invoice.finalized",
        data: expect.objectContaining({ account, invoice: invoice?.id, number: invoice?.number, totalUsdMicros: 5_300_000 }),
      }),
    );
    await run();
    expect(await t.send("POST", `/v1/invoices/${invoice!.id}/finalize`)).toMatchObject({ status: 200, body: { number: invoice?.number } });
    const paid = { status: 200, body: { state: "paid", payment: "tr_1", amountDueUsdMicros: 0 } };
    expect(await t.send("POST", `/v1/invoices/${invoice!.id}/pay`, { body: { payment: "tr_1" } })).toMatchObject(paid);
    expect(await t.send("POST", `/v1/invoices/${invoice!.id}/pay`, { body: { payment: "tr_2" } })).toMatchObject(paid);
    expect(await t.send("POST", `/v1/invoices/${invoice!.id}/void`)).toMatchObject({ status: 409 });
    const [after] = await invoicesOf(account);
    expect(after?.lines).toEqual(invoice?.lines);
    await expect(
      t.engine.db.updateTable("invoices").set({ total: 1n }).where("account", "=", account).where("state", "=", "paid").execute(),
    ).rejects.toThrow("does not change");
    await expect(t.engine.db.deleteFrom("invoices").where("account", "=", account).execute()).rejects.toThrow("does not change");
  });

  it("usage that comes after it, and corrections, are lines on the next one, and the month's lines are what the ledger says", async () => {
    at("2027-08-01T00:00:00.000Z");
    const account = await newAccount("pro");
    await use(account, { state_requests: 1_500_000 });
    at("2027-09-02T00:00:00.000Z");
    await run();
    const correct = (quantity: number, key: string) => billing.correct(account, quantity, "2027-08-15T00:00:00.000Z", key);
    await correct(-200_000, "c1");
    await billing.lateUsage(account, "2027-08-20T05:00:00.000Z", 100_000);
    const august = { start: "2027-08-01T00:00:00.000Z", end: "2027-09-01T00:00:00.000Z" };
    expect((await upcoming(account)).lines.slice(1)).toMatchObject([
      // 1,600,000: 600,000 × 0.15 = 90,000, of which 75,000 are billed. Then 1,400,000: 60,000.
      { kind: "usage", meter: "state_requests", period: august, quantity: 100_000, billable: 100_000, amountUsdMicros: 15_000 },
      { kind: "correction", meter: "state_requests", period: august, quantity: -200_000, billable: -200_000, amountUsdMicros: -30_000 },
    ]);
    at("2027-10-02T00:00:00.000Z");
    await run();
    await correct(-500_000, "c2");
    at("2027-11-02T00:00:00.000Z");
    await run();
    const found = await invoicesOf(account);
    // 900,000 is less than what is included: 60,000 are given back for 400,000 of the 500,000.
    expect(amounts(found[0])).toEqual([
      ["subscription", null, 5_000_000],
      ["correction", "state_requests", -60_000],
    ]);
    expect(found[0]?.lines[1]).toMatchObject({ quantity: -500_000, included: -100_000, billable: -400_000 });
    const ofAugust = found.flatMap(({ lines }) => lines).filter((line) => line.meter && line.period.start === august.start);
    expect(ofAugust.reduce((sum, line) => sum + line.amountUsdMicros, 0)).toBe(0);
    at("2027-12-02T00:00:00.000Z");
    await run();
    expect(amounts((await invoicesOf(account))[0])).toEqual([["subscription", null, 5_000_000]]);
  });

  it("a correction of the month itself is in the month's line", async () => {
    at("2028-01-01T00:00:00.000Z");
    const account = await newAccount("pro");
    await use(account, { state_requests: 1_500_000 });
    const body = { meter: "state_requests", quantity: -100_000, reason: "r", idempotencyKey: "k" };
    await t.send("POST", `/v1/accounts/${account}/corrections`, { body });
    const [, line] = (await upcoming(account)).lines;
    expect(line).toMatchObject({ kind: "usage", quantity: 1_400_000, billable: 400_000, amountUsdMicros: 60_000 });
    expect(line?.explain.text).toBe(
      "1,500,000 used − 100,000 corrected − 1,000,000 included → 400,000 request billable; 0.4 × $0.15 = $0.06",
    );
  });
});

describe("changes of plan", () => {
  it("give back and charge to the millisecond, once each, and rate usage by the plan it was used under", async () => {
    at("2028-02-01T00:00:00.000Z");
    const account = await newAccount("free");
    await use(account, { state_requests: 90_000 });
    at("2028-02-11T12:00:00.000Z");
    await billing.change(account, "pro");
    await use(account, { state_requests: 1_200_000 });
    at("2028-02-21T06:00:00.001Z");
    await billing.change(account, "free");
    at("2028-03-01T00:00:00.000Z");
    await run();
    const [invoice] = await invoicesOf(account);
    // Of February's 29 days = 2,505,600,000 ms, 18.5 days are charged: 5,000,000 × 1,598,400,000 / 2,505,600,000 = 3,189,655.17;
    // from the 21st at 06:00:00.001 on 8.75 days less 1 ms come back: 5,000,000 × 755,999,999 / 2,505,600,000 = 1,508,620.687.
    expect(amounts(invoice)).toEqual([
      ["proration", null, 3_189_655],
      ["proration", null, -1_508_621],
      ["usage", "state_requests", 30_000],
    ]);
    expect(invoice?.lines[2]).toMatchObject({ quantity: 1_200_000, billable: 200_000 });
  });

  it("at the end of the month: the old fee for the month, the new one for the next", async () => {
    at("2028-03-05T00:00:00.000Z");
    const account = await newAccount("pro");
    const planned = await t.send("POST", `/v1/accounts/${account}/subscription/cancel`);
    expect(planned.body).toMatchObject({ plan: "pro", nextPlan: { plan: "free", startsAt: "2028-04-01T00:00:00.000Z" } });
    // The rest of March, 27 of 31 days: 5,000,000 × 27 / 31 = 4,354,838.7; April costs nothing.
    expect(amounts(await upcoming(account))).toEqual([["proration", null, 4_354_839]]);
    await t.send("POST", `/v1/accounts/${account}/subscription/resume`);
    expect(amounts(await upcoming(account))).toEqual([
      ["subscription", null, 5_000_000],
      ["proration", null, 4_354_839],
    ]);
  });

  it("a trial costs no fee until it ends, and usage all the same", async () => {
    at("2028-05-01T00:00:00.000Z");
    const account = await newAccount("free");
    t.clock.advance(1);
    await billing.change(account, "pro", "now", { trialDays: 10 });
    await use(account, { state_requests: 1_000_010 });
    // From the 11th, one millisecond in: 5,000,000 × (21 days − 1 ms) / 31 days = 3,387,096.77 − 0.002.
    expect(amounts(await upcoming(account))).toEqual([
      ["subscription", null, 5_000_000],
      ["proration", null, 3_387_097],
      ["usage", "state_requests", 2],
    ]);
  });

  it("in the very millisecond a month began, after its fee was billed", async () => {
    at("2028-06-01T00:00:00.000Z");
    const account = await newAccount("free");
    await run();
    await billing.change(account, "pro");
    expect(amounts(await upcoming(account))).toEqual([
      ["subscription", null, 5_000_000],
      ["proration", null, 5_000_000],
    ]);
  });

  it("a free plan has no invoices, and no account's month is missed", async () => {
    at("2028-07-03T00:00:00.000Z");
    const account = await newAccount("free");
    await use(account, { state_requests: 5 });
    at("2028-12-03T00:00:00.000Z");
    await run();
    expect(await invoicesOf(account)).toEqual([]);
    const periods = await t.engine.db
      .selectFrom("billing_periods")
      .selectAll()
      .where("account", "=", account)
      .orderBy("period_end")
      .execute();
    expect(periods.map(({ period_end }) => period_end.toISOString().slice(0, 10))).toEqual([
      "2028-07-03",
      "2028-08-01",
      "2028-09-01",
      "2028-10-01",
      "2028-11-01",
      "2028-12-01",
      "2029-01-01",
    ]);
  });
});
