import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { handOverInvoices } from "../../../jobs/hand-over-invoices.ts";
import type { PaymentOptions } from "../../../src/payments/open-adapter.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { Billing } from "../../support/billing.ts";
import { run } from "../cli/weir.ts";

let t: TestApp;
afterEach(() => t.stop());

/** A Weir whose account has three finalized invoices: of its first fee, of January and of February. */
async function billed(payments: PaymentOptions | null) {
  t = await openTestApp("weir", payments);
  const billing = new Billing(t);
  billing.at("2027-01-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  billing.at("2027-03-02T00:00:00.000Z");
  await billing.run();
  return { account, invoices: await billing.invoicesOf(account) };
}

const stateOf = (invoice: string) => t.send("GET", `/v1/invoices/${invoice}/hand-over`);

describe("by hand", () => {
  it("an invoice waits until somebody says that it is paid", async () => {
    const { account, invoices } = await billed({ provider: "manual", from: null, meters: {} });
    const [invoice] = invoices;
    expect(await stateOf(invoice!.id)).toMatchObject({ status: 404 });
    await handOverInvoices.run(t.engine);
    expect(await stateOf(invoice!.id)).toMatchObject({
      status: 200,
      body: { account, provider: "manual", state: "handed_over", externalId: "3", handedOverAt: "2027-03-02T00:00:00.000Z" },
    });
    await t.app.listen({ host: "127.0.0.1", port: 0 });
    const url = `http://127.0.0.1:${(t.app.server.address() as AddressInfo).port}`;
    const env = { PATH: process.env["PATH"] ?? "", WEIR_URL: url, WEIR_KEY: ADMIN_KEY, WEIR_ACCOUNT: account };
    const weir = (line: string) => run(["invoices", ...line.split(" ")], env);
    expect((await weir(`hand-over ${invoice!.id}`)).stdout).toMatch(
      /state +handed_over: is collected there\nnamed there +3\nattempts +1\n/,
    );
    expect(await weir(`pay ${invoice!.id} --payment transfer-17`)).toMatchObject({ code: 0 });
    await handOverInvoices.run(t.engine);
    expect(await stateOf(invoice!.id)).toMatchObject({ body: { state: "settled", settledAt: "2027-03-02T00:00:00.000Z" } });
    expect((await weir(`hand-over ${invoice!.id} --retry`)).stdout).toMatch(/state +settled: nothing left to collect\n/);
  });

  it("invoices of before it was switched on are left alone", async () => {
    const { invoices } = await billed({ provider: "manual", from: Date.parse("2027-03-02T00:00:00.001Z"), meters: {} });
    await handOverInvoices.run(t.engine);
    expect(await Promise.all(invoices.map(async ({ id }) => (await stateOf(id)).status))).toEqual([404, 404, 404]);
  });

  it("nobody takes Stripe's webhooks", async () => {
    await billed({ provider: "manual", from: null, meters: {} });
    const told = await t.send("POST", "/v1/payments/stripe/webhook", {
      body: "{}",
      key: null,
      headers: { "stripe-signature": "t=1,v1=0" },
    });
    expect(told).toMatchObject({ status: 404, body: { code: "not_found" } });
  });
});

describe("nobody is told unless somebody is named", () => {
  it("nothing is handed over, and nothing is noted", async () => {
    const { invoices } = await billed(null);
    await handOverInvoices.run(t.engine);
    expect(await stateOf(invoices[0]!.id)).toMatchObject({ status: 404, body: { code: "not_found" } });
    expect(await t.engine.db.selectFrom("payment_hand_overs").selectAll().execute()).toEqual([]);
    const told = await t.send("POST", "/v1/payments/stripe/webhook", {
      body: "{}",
      key: null,
      headers: { "stripe-signature": "t=1,v1=0" },
    });
    expect(told).toMatchObject({ status: 404 });
  });
});
