import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { amounts, Billing, type Invoice } from "../../support/billing.ts";
import { run } from "../cli/weir.ts";

let t: TestApp;
let billing: Billing;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
});
afterAll(() => t.stop());

const APRIL = { from: "2027-04-01T00:00:00.000Z", to: "2027-05-01T00:00:00.000Z" };
const pro = () => t.engine.catalog.plans.find(({ key }) => key === "pro");
const simulate = (body: Record<string, unknown>, key?: string) =>
  t.send("POST", "/v1/pricing/simulate", { body: { ...APRIL, ...body }, ...(key === undefined ? {} : { key }) });

const PLAN = {
  key: "flat",
  name: "Flat",
  currency: "USD",
  subscriptionUsdMicrosPerMonth: 20_000_000,
  allowances: { state_requests: { quantity: 500_000, period: "month", hard: false } },
  ceilings: {},
  charges: { state_requests: { model: "per_unit", unitSize: 1_000_000, priceUsdMicros: "200000" } },
};

it("prices recorded usage under another plan, and under the plan the account had as it was billed", async () => {
  billing.at("2027-04-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.store(account, 80);
  billing.at("2027-04-11T00:00:00.000Z");
  await billing.use(account, { state_requests: 1_500_000 });
  billing.at("2027-05-01T00:00:00.000Z");
  await billing.run();
  const [billed] = await billing.invoicesOf(account);

  const { status, body } = await simulate({ account, plan: PLAN });
  expect(status).toBe(200);
  expect(body).toMatchObject({ account, plan: "flat", currency: "USD", period: { start: APRIL.from, end: APRIL.to } });
  // (1,500,000 − 500,000) ÷ 1,000,000 × $0.20, and the fee of April; the plan asks nothing for storage.
  expect(amounts(body as unknown as Invoice)).toEqual([
    ["subscription", null, 20_000_000],
    ["usage", "state_requests", 200_000],
  ]);
  expect(body).toMatchObject({ totalUsdMicros: 20_200_000, actualUsdMicros: billed?.totalUsdMicros });

  const same = await simulate({ account, plan: pro() });
  const usage = (lines: unknown) => (lines as Invoice["lines"]).filter(({ kind }) => kind === "usage").map((line) => ({ ...line, id: "" }));
  expect(usage(same.body["lines"])).toEqual(usage(billed?.lines));
  expect(same.body["totalUsdMicros"]).toBe(billed?.totalUsdMicros);
});

it("prorates the fee of a part of a month, and gives each month its own allowance", async () => {
  billing.at("2027-06-01T00:00:00.000Z");
  const account = await billing.newAccount("free");
  await billing.use(account, { state_requests: 90_000 });
  billing.at("2027-07-02T00:00:00.000Z");
  await billing.use(account, { state_requests: 90_000 });
  const plan = { ...PLAN, allowances: { state_requests: { quantity: 50_000, period: "month", hard: false } } };
  const { body } = await simulate({ account, plan, from: "2027-06-16T00:00:00Z", to: "2027-07-03T00:00:00Z" });
  expect(amounts(body as unknown as Invoice)).toEqual([
    ["proration", null, 10_000_000], // 15 of 30 days
    ["proration", null, 1_290_323], // 2 of 31 days: 1,290,322.58
    ["usage", "state_requests", 8_000], // 40,000 ÷ 1,000,000 × 200,000
  ]);
  expect(body["actualUsdMicros"]).toBe(0);
});

it.each([
  ["an account that does not exist", { account: "acct_none", plan: PLAN }, 404, "not_found"],
  ["a plan that is none", { plan: { key: "x" } }, 400, "validation_failed"],
  ["a meter that is none", { plan: { ...PLAN, charges: { nope: PLAN.charges.state_requests } } }, 400, "validation_failed"],
  ["a span that ends before it begins", { plan: PLAN, to: "2027-03-01T00:00:00Z" }, 400, "validation_failed"],
  ["a span of ten years", { plan: PLAN, to: "2037-03-01T00:00:00Z" }, 400, "validation_failed"],
  ["a time that is none", { plan: PLAN, from: "yesterday" }, 400, "validation_failed"],
])("refuses %s", async (_, body, status, code) => {
  const account = await billing.newAccount("pro");
  const answer = await simulate({ account, ...body });
  expect([answer.status, answer.body["code"]]).toEqual([status, code]);
});

it("is the account's own, and nobody else's", async () => {
  const [own, other] = [await billing.newAccount("pro"), await billing.newAccount("pro")];
  const key = await t.key("read_only", own);
  expect((await simulate({ account: own, plan: PLAN }, key)).status).toBe(200);
  expect((await simulate({ account: other, plan: PLAN }, key)).status).toBe(404);
});

it("weir simulate: one account, and all with who pays more", async () => {
  billing.at("2027-08-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  await billing.use(account, { state_requests: 1_500_000 });
  billing.at("2027-08-20T00:00:00.000Z");
  await t.app.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(t.app.server.address() as AddressInfo).port}`;
  const env = { PATH: process.env["PATH"] ?? "", WEIR_URL: url, WEIR_KEY: ADMIN_KEY, WEIR_ACCOUNT: account };
  const file = join(t.stack.dataDir, "plan.json");
  writeFileSync(file, JSON.stringify(PLAN));
  const august = ["--from", "2027-08-01T00:00:00Z", "--to", "2027-09-01T00:00:00Z"];
  const one = await run(["simulate", file, ...august], env);
  expect(one).toMatchObject({ code: 0, stderr: "" });
  expect(one.stdout).toContain("Total $20.20; under the plans it had $5.075.\n");
  // Unless told, this month until now, by Weir's clock and not by that of whoever asks.
  const unsaid = JSON.parse((await run(["simulate", file, "--json"], env)).stdout) as { period: unknown };
  expect(unsaid.period).toEqual({ start: "2027-08-01T00:00:00.000Z", end: "2027-08-20T00:00:00.000Z" });
  const all = await run(["simulate", "free", "--all", "--json", ...august], env);
  const found = JSON.parse(all.stdout) as { afterUsdMicros: number; accounts: { account: string; changeUsdMicros: number }[] };
  expect(found.afterUsdMicros).toBe(0);
  expect(found.accounts.find((a) => a.account === account)?.changeUsdMicros).toBe(-5_075_000);
  expect(await run(["simulate", "nope"], env)).toMatchObject({ code: 2 });
});
