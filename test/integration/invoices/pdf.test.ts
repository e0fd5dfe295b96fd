import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { Billing } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
});
afterAll(() => t.stop());

it("gives a finalized invoice as the same bytes each time, to its account only", async () => {
  billing.at("2027-04-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.use(account, { state_requests: 1_500_000 });
  billing.at("2027-05-03T00:00:00.000Z");
  await billing.run();
  const [invoice] = await billing.invoicesOf(account);
  const get = async (key: string) =>
    t.app.inject({ method: "GET", url: `/v1/invoices/${invoice?.id}.pdf`, headers: { authorization: `Bearer ${key}` } });
  const own = await t.key("account", account);
  const first = await get(own);
  expect(first.statusCode).toBe(200);
  expect(first.headers).toMatchObject({
    "content-type": "application/pdf",
    "content-disposition": `attachment; filename="${invoice?.id}.pdf"`,
  });
  expect(first.rawPayload.toString("latin1")).toMatch(/^%PDF-1\.[\s\S]*%%EOF\s*$/);
  billing.at("2027-05-20T00:00:00.000Z");
  expect((await get(own)).rawPayload.equals(first.rawPayload)).toBe(true);
  const other = await t.key("account", await billing.newAccount("pro"));
  expect((await get(other)).statusCode).toBe(404);
});
