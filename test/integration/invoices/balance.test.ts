import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { amounts, Billing, type Invoice } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
  const pro = t.engine.catalog.plans.find(({ key }) => key === "pro");
  const big = { ...pro, key: "big", name: "Big", subscriptionUsdMicrosPerMonth: 30_000_000 };
  const committed = { ...pro, key: "committed", name: "Committed", subscriptionUsdMicrosPerMonth: 0, minimumUsdMicrosPerMonth: 1_000_000 };
  await t.engine.applyCatalog({ plans: [big, committed] });
});
afterAll(() => t.stop());

const invoicesOf = (account: string) => billing.invoicesOf(account);
const runAt = async (time: string) => {
  billing.at(time);
  await billing.run();
};
const brief = (invoices: readonly Invoice[]) =>
  invoices.map((invoice) => [invoice.state, invoice.totalUsdMicros, invoice.amountDueUsdMicros]);

describe("an invoice of less than nothing", () => {
  it("is one of nothing, and the next ones are less until all of it is given back", async () => {
    billing.at("2027-04-01T00:00:00.000Z");
    const account = await billing.newAccount("big");
    billing.at("2027-04-16T00:00:00.000Z");
    await billing.change(account, "pro");
    // May on Pro $5; of April −$30 × 15/30 and $5 × 15/30: $5 − $15 + $2.50 = −$7.50.
    billing.at("2027-04-30T23:59:59.999Z");
    const upcoming = await billing.upcoming(account);
    await runAt("2027-05-02T00:00:00.000Z");
    const [april] = await invoicesOf(account);
    expect(amounts(april)).toEqual([
      ["subscription", null, 5_000_000],
      ["proration", null, -15_000_000],
      ["proration", null, 2_500_000],
      ["credit", null, 7_500_000],
    ]);
    expect(april).toMatchObject({ state: "finalized", totalUsdMicros: 0, amountDueUsdMicros: 0, subtotalUsdMicros: -7_500_000 });
    expect(amounts(april)).toEqual(amounts(upcoming));
    expect(april?.lines[3]?.explain.text).toBe("−$7.50, less than nothing, goes to the next invoice");
    await billing.use(account, { state_requests: 2_000_000 });
    await runAt("2027-06-02T00:00:00.000Z");
    // $5 and 1,000,000 requests at $0.15: $5.15 − $7.50 = −$2.35.
    const [may] = await invoicesOf(account);
    expect(amounts(may).slice(2)).toEqual([
      ["credit", null, -7_500_000],
      ["credit", null, 2_350_000],
    ]);
    expect(may?.lines[3]?.explain.text).toBe("$5.15 − $7.50 = −$2.35, less than nothing, goes to the next invoice");
    await runAt("2027-07-02T00:00:00.000Z");
    await runAt("2027-08-02T00:00:00.000Z");
    expect(brief((await invoicesOf(account)).slice(0, 4))).toEqual([
      ["finalized", 5_000_000, 5_000_000],
      ["finalized", 2_650_000, 2_650_000],
      ["finalized", 0, 0],
      ["finalized", 0, 0],
    ]);
    expect((await t.engine.checkInvariants()).filter(({ violations }) => violations.length > 0)).toEqual([]);
  });

  it("waits for a month that has something to bill", async () => {
    billing.at("2028-01-01T00:00:00.000Z");
    const account = await billing.newAccount("big");
    await billing.run();
    billing.at("2028-01-16T12:00:00.000Z");
    await billing.change(account, "free");
    await runAt("2028-05-02T00:00:00.000Z");
    // Half of January's $30 is given back; of the months after it there is nothing to bill.
    expect(brief(await invoicesOf(account))).toEqual([
      ["finalized", 0, 0],
      ["finalized", 30_000_000, 30_000_000],
    ]);
    await billing.change(account, "pro", "period_end");
    await runAt("2028-06-02T00:00:00.000Z");
    const [june] = await invoicesOf(account);
    expect(amounts(june)).toEqual([
      ["subscription", null, 5_000_000],
      ["credit", null, -15_000_000],
      ["credit", null, 10_000_000],
    ]);
  });

  it("is not counted where it is void: what it left is taken back, and what it had used is there again", async () => {
    billing.at("2029-01-01T00:00:00.000Z");
    const account = await billing.newAccount("big");
    billing.at("2029-01-16T12:00:00.000Z");
    await billing.change(account, "pro");
    await runAt("2029-02-02T00:00:00.000Z");
    const [january] = await invoicesOf(account);
    // $5 − $15 + $2.50.
    expect(amounts(january).at(-1)).toEqual(["credit", null, 7_500_000]);
    await runAt("2029-03-02T00:00:00.000Z");
    const [february] = await invoicesOf(account);
    expect(amounts(february).slice(1)).toEqual([
      ["credit", null, -7_500_000],
      ["credit", null, 2_500_000],
    ]);
    await t.send("POST", `/v1/invoices/${february!.id}/void`);
    expect(amounts(await billing.upcoming(account)).slice(1)).toEqual([
      ["credit", null, -7_500_000],
      ["credit", null, 2_500_000],
    ]);
    await t.send("POST", `/v1/invoices/${january!.id}/void`);
    expect(amounts(await billing.upcoming(account)).slice(1)).toEqual([]);
    await expect(t.engine.db.updateTable("invoices").set({ carried: 1n }).where("id", "=", february!.id).execute()).rejects.toThrow(
      "does not change",
    );
  });
});

describe("what lacks to a minimum", () => {
  it("is billed once, however late usage comes and whatever is corrected", async () => {
    billing.at("2030-01-01T00:00:00.000Z");
    const account = await billing.newAccount("committed");
    await billing.use(account, { state_requests: 3_000_000 });
    // 2,000,000 × $0.15 = $0.30, of $1.00.
    await runAt("2030-02-02T00:00:00.000Z");
    await billing.lateUsage(account, "2030-01-20T05:00:00.000Z", 2_000_000);
    await runAt("2030-03-02T00:00:00.000Z");
    await billing.lateUsage(account, "2030-01-21T05:00:00.000Z", 9_000_000);
    await runAt("2030-04-02T00:00:00.000Z");
    await billing.correct(account, -10_000_000, "2030-01-22T00:00:00.000Z", "c");
    await runAt("2030-05-02T00:00:00.000Z");
    await runAt("2030-06-02T00:00:00.000Z");
    const january = { start: "2030-01-01T00:00:00.000Z", end: "2030-02-01T00:00:00.000Z" };
    const linesOfJanuary = (await invoicesOf(account))
      .toReversed()
      .map(({ lines }) =>
        lines
          .filter(({ period }) => period.start === january.start)
          .map(({ kind, meter, amountUsdMicros }) => [kind, meter ?? null, amountUsdMicros]),
      );
    expect(linesOfJanuary.filter((lines) => lines.length > 0)).toEqual([
      [
        ["usage", "state_requests", 300_000],
        ["usage", null, 700_000],
      ],
      // $0.60 of usage: $0.40 are missing.
      [
        ["usage", "state_requests", 300_000],
        ["usage", null, -300_000],
      ],
      // $1.95 of usage: nothing is.
      [
        ["usage", "state_requests", 1_350_000],
        ["usage", null, -400_000],
      ],
      // 4,000,000 are left: $0.45.
      [
        ["correction", "state_requests", -1_500_000],
        ["usage", null, 550_000],
      ],
    ]);
  });
});
