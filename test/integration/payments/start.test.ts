import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { StripeServer } from "../../support/stripe-server.ts";
import { startWeir, type RunningWeir } from "../cli/weir.ts";

const ACCOUNT = "acct_paying";
const SECRET = "whsec_of_the_start";

let stripe: StripeServer;
let weir: RunningWeir;
beforeAll(async () => {
  stripe = new StripeServer();
  const WEIR_STRIPE_API_URL = await stripe.start();
  weir = await startWeir({
    WEIR_TEST_CLOCK: "1",
    WEIR_PAYMENTS: "stripe",
    WEIR_STRIPE_SECRET_KEY: "sk_test_nothing",
    WEIR_STRIPE_WEBHOOK_SECRET: SECRET,
    WEIR_STRIPE_METERS: "state_requests=weir_requests",
    WEIR_STRIPE_API_URL,
  });
});
afterAll(async () => {
  await weir.stop();
  await stripe.stop();
});

it("a Weir that is told of Stripe by its environment bills, hands over, counts, and hears that it is paid", async () => {
  const api = (method: string, path: string, body?: unknown) => weir.api(method, path, ACCOUNT, body);
  const at = async (now: string) => {
    await api("PUT", "/v1/test/clock", { now });
    await api("POST", "/v1/test/run-jobs");
  };
  await at("2037-01-01T00:00:00.000Z");
  await api("PUT", `/v1/accounts/${ACCOUNT}`, { plan: "pro", email: "ada@example.com" });
  await at("2037-01-02T00:00:00.000Z");
  await api("POST", "/v1/check", { account: ACCOUNT, usage: { state_requests: 2_000_000 } });
  await at("2037-01-02T01:00:00.000Z");
  await at("2037-02-02T00:00:00.000Z");
  const { invoices } = (await api("GET", "/v1/invoices")) as { invoices: { id: string; totalUsdMicros: number }[] };
  expect(invoices.map(({ totalUsdMicros }) => totalUsdMicros)).toEqual([5_150_000, 5_000_000]);
  const [invoice] = invoices;
  const shown = await weir.weir(["invoices", "hand-over", invoice!.id, "--json"], { env: { WEIR_ACCOUNT: ACCOUNT } });
  expect(JSON.parse(shown.stdout)).toMatchObject({ provider: "stripe", state: "handed_over", attempts: 1 });
  const [made] = stripe.invoicesOf(invoice!.id);
  expect(made).toMatchObject({ status: "open", days_until_due: "30" });
  // The customer is known since the first invoice was handed over, a day into January.
  expect(stripe.meterEvents).toMatchObject([{ event_name: "weir_requests", "payload[value]": "2000000", timestamp: "2114467200" }]);

  const body = stripe.paidEvent(made!);
  const seconds = Date.parse("2037-02-02T00:00:00.000Z") / 1_000;
  const signature = `t=${seconds},v1=${createHmac("sha256", SECRET).update(`${seconds}.${body}`).digest("hex")}`;
  const headers = { "content-type": "application/json", "stripe-signature": signature };
  const told = await fetch(`${weir.url}/v1/payments/stripe/webhook`, { method: "POST", headers, body });
  expect([told.status, await told.json()]).toEqual([200, { received: true }]);
  expect(await api("GET", `/v1/invoices/${invoice!.id}`)).toMatchObject({ state: "paid", payment: made?.id });
});
