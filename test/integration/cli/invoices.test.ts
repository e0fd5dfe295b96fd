import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";
import { Billing } from "../../support/billing.ts";
import { run, type Ran } from "./weir.ts";

let t: TestApp;
let billing: Billing;
let url: string;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
  await t.app.listen({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${(t.app.server.address() as AddressInfo).port}`;
});
afterAll(() => t.stop());

const weir = (line: string, account: string): Promise<Ran> =>
  run(["invoices", ...line.split(" ")], { PATH: process.env["PATH"] ?? "", WEIR_URL: url, WEIR_KEY: ADMIN_KEY, WEIR_ACCOUNT: account });

it("run, list, show, upcoming, explain, pay: what people see, and what programs do", async () => {
  billing.at("2027-04-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  billing.at("2027-04-11T00:00:00.000Z");
  await billing.use(account, { state_requests: 1_500_000 });
  expect((await weir("upcoming", account)).stdout).toContain("Total $5.075");
  billing.at("2027-05-02T00:00:00.000Z");
  expect(await weir("run", account)).toMatchObject({ code: 0, stdout: "2 months closed, 2 invoices drafted, 2 finalized.\n" });
  const [invoice] = await billing.invoicesOf(account);
  const lines = ["list", `show ${invoice?.id}`, `explain ${invoice?.id}.2`, `explain ${invoice?.id}`];
  const [listed, shown, explained, wrong] = await Promise.all(lines.map((line) => weir(line, account)));
  expect(listed?.stdout).toMatch(/ 2 {2}2027-04-01 – 2027-05-01 {2}finalized {2}\$5\.075 +\$5\.075 {2}inv_/);
  expect(shown?.stdout).toMatch(/^Invoice 2\nid +inv_/);
  expect(shown?.stdout).toMatch(/ 2 {2}usage .*\(state_requests\), Pro +1,500,000 +500,000 +\$0\.075\n/);
  expect(explained).toMatchObject({ code: 0, stderr: "" });
  expect(explained?.stdout).toContain("because    1,500,000 used − 1,000,000 included → 500,000 request billable; 0.5 × $0.15 = $0.075\n");
  expect(explained?.stdout).toContain("2027-04-11  1,500,000\n");
  expect(explained?.stdout.split("\n").filter((line) => line.startsWith("✓"))).toEqual([
    "✓ 1 hour adds up to 1,500,000 request",
    "✓ 1 UTC days add up to 1,500,000",
    "✓ tiers come to $0.075, rounded once",
    "✓ rated again: $0.075",
  ]);
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  const note = `credit ${invoice?.id} --amount-usd-micros 75000 --reason sorry --idempotency-key k`;
  const [paid, credited] = await Promise.all([`pay ${invoice?.id} --payment tr_7 --json`, note].map((line) => weir(line, account)));
  expect(JSON.parse(paid?.stdout ?? "")).toMatchObject({ state: "paid", payment: "tr_7" });
  expect(credited?.stdout).toBe(`Credit note 1 takes 75000 micro-dollars off ${invoice?.id}.\n`);
});

it("credits: granted, listed, shown with what burned them, void", async () => {
  billing.at("2027-06-01T00:00:00.000Z");
  const account = await billing.newAccount("pro");
  const env = { PATH: process.env["PATH"] ?? "", WEIR_URL: url, WEIR_KEY: ADMIN_KEY, WEIR_ACCOUNT: account };
  const credits = (line: string): Promise<Ran> => run(["credits", ...line.split(" ")], env);
  const made = await credits("grant --amount-usd-micros 50000 --idempotency-key k --name Launch --kind promotional --priority 1 --json");
  const { id } = JSON.parse(made.stdout) as { id: string };
  expect(made).toMatchObject({ code: 0, stderr: "" });
  await billing.use(account, { state_requests: 1_200_000 });
  billing.at("2027-07-02T00:00:00.000Z");
  await billing.run();
  const [listed, shown] = await Promise.all([credits("list"), credits(`show ${id}`)]);
  const [voided, wrong] = await Promise.all([credits(`void ${id}`), credits("grant --amount-usd-micros 0 --idempotency-key k")]);
  expect(listed.stdout).toMatch(new RegExp(`${id}  Launch  promotional  active +1 +\\$0\\.05 +\\$0\\.02  –\n\nLeft now: \\$0\\.02\n$`));
  expect(shown.stdout).toMatch(/^Launch\nid +crg_/);
  expect(shown.stdout).toMatch(/2027-07-02T00:00:00\.000Z {2}inv_\w+ +\$0\.03\n$/);
  expect(voided.stdout).toBe(`Voided ${id}: $0.02 are not burned any more.\n`);
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
});
