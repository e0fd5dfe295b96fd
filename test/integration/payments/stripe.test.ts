import { createHmac } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createEngine } from "../../../src/engine.ts";
import type { PaymentOptions } from "../../../src/payments/open-adapter.ts";
import { LEASE_MS, RETRY_DELAYS_MS } from "../../../src/payments/payments.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { Billing, type Invoice } from "../../support/billing.ts";
import { EngineProcess } from "../../support/engine-child.ts";
import { StripeServer, type Mishap, type StripeCall } from "../../support/stripe-server.ts";

const WEBHOOK_SECRET = "whsec_for_tests";
const WEBHOOK = "/v1/payments/stripe/webhook";

let stripe: StripeServer;
let options: PaymentOptions;
let t: TestApp;
let billing: Billing;
/** Each test has a month of its own: it begins where the one before it ended. */
let month = new Date("2027-01-01T00:00:00.000Z");

beforeAll(async () => {
  stripe = new StripeServer();
  const apiUrl = await stripe.start();
  options = {
    provider: "stripe",
    from: null,
    meters: {},
    stripe: { secretKey: "sk_test_nothing", webhookSecret: WEBHOOK_SECRET, apiUrl, daysUntilDue: 14 },
  };
  t = await openTestApp("weir", options);
  billing = new Billing(t);
});
afterAll(async () => {
  await t.stop();
  await stripe.stop();
});
beforeEach(() => {
  stripe.mishap = () => null;
  stripe.listsNothing = false;
});

/** A finalized invoice of 5.00 + 0.075 + usage that rounds, of an account that begins with the month. */
async function finalized(): Promise<Invoice & { account: string }> {
  t.clock.set(month.getTime());
  const account = await billing.newAccount("pro", { name: "Ada", email: "ada@example.com" });
  await billing.use(account, { state_requests: 1_500_000, state_sqlite_rows_written: 50_123_456 });
  month = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1));
  t.clock.set(month.getTime());
  await billing.run();
  t.clock.advance(24 * 3_600_000);
  await billing.run();
  // The next tests' months are none of this account's, and the first fee's invoice is not what is looked at.
  await billing.change(account, "free", "period_end");
  const [invoice, first] = await billing.invoicesOf(account);
  if (!invoice || !first) throw new Error("the account has no two invoices");
  await t.send("POST", `/v1/invoices/${first.id}/void`);
  return { ...invoice, account };
}

const handOver = () => t.engine.payments.handOverDue();
const stateOf = async (invoice: string) => (await t.send("GET", `/v1/invoices/${invoice}/hand-over`)).body;
const invoiceOf = async (invoice: string) => (await t.send("GET", `/v1/invoices/${invoice}`)).body;

const sign = (body: string, at: number, secret = WEBHOOK_SECRET): string => {
  const seconds = Math.floor(at / 1_000);
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
};
const tell = (body: string, signature: string | null) =>
  t.send("POST", WEBHOOK, { body, key: null, headers: signature === null ? {} : { "stripe-signature": signature } });

/** The only invoice that Stripe has of Weir's, and what its items come to. */
function atStripe(invoice: string) {
  const found = stripe.invoicesOf(invoice);
  expect(found).toHaveLength(1);
  const [one] = found;
  return { ...one, status: one?.["status"], items: stripe.itemsOf(one?.id ?? "").map(({ amount }) => amount) };
}

const stores = () => ({ databaseUrl: t.stack.databaseUrl, redisUrl: t.stack.redisUrl, redisPrefix: t.stack.keyPrefix });

const customersOf = ({ account }: { account: string }) =>
  stripe.customers.filter(({ metadata }) => (metadata as Record<string, string>)["weir_account"] === account);

/** Idempotency keys of an invoice and its account, in the order they came, from a call on. */
const keysOf = ({ id, account }: { id: string; account: string }, from = 0): string[] => {
  const keys = stripe.calls.slice(from).map(({ key }) => key ?? "");
  return keys.filter((key) => key.startsWith(`weir/${id}/`) || key.startsWith(`weir/${account}/`));
};

/** The first call that `fits` meets with a mishap, in one attempt. Stripe's package sends a call whose connection broke once more at once. */
function once(fits: (call: StripeCall) => boolean, mishap: Mishap): void {
  let left = typeof mishap === "string" ? 2 : 1;
  let first: string | null = null;
  stripe.mishap = (call) => {
    const name = `${call.method} ${call.path} ${call.key}`;
    if (left === 0 || !fits(call) || name !== (first ?? name)) return null;
    first = name;
    left -= 1;
    return mishap;
  };
}

/** What a hand-over asks of Stripe, in order. */
const STEPS: [string, (call: StripeCall) => boolean][] = [
  ["the customer", ({ method, path }) => method === "POST" && path === "/v1/customers"],
  ["the customer's name", ({ method, path }) => method === "POST" && path.startsWith("/v1/customers/")],
  ["the invoice", ({ method, path }) => method === "POST" && path === "/v1/invoices"],
  ["an item", ({ method, path }) => method === "POST" && path === "/v1/invoiceitems"],
  ["the total", ({ method, path }) => method === "GET" && path.startsWith("/v1/invoices/in_")],
  ["finalizing", ({ path }) => path.endsWith("/finalize")],
];

describe("a finalized invoice", () => {
  it("is handed over once: a customer, an invoice, an item a line, in cents that add up", async () => {
    const invoice = await finalized();
    // 5,000,000 + 75,000 + 123,456 = 5,198,456: 519.8456 cents; of 500, 7.5 and 12.3456 the largest remainder gets the one that is left.
    expect(invoice.totalUsdMicros).toBe(5_198_456);
    await handOver();
    expect(atStripe(invoice.id)).toMatchObject({
      status: "open",
      currency: "usd",
      collection_method: "send_invoice",
      days_until_due: "14",
      metadata: { weir_account: invoice.account, weir_number: String(invoice.number) },
      items: [500, 8, 12],
    });
    const [customer] = customersOf(invoice);
    expect(customer).toMatchObject({ name: "Ada", email: "ada@example.com" });
    expect(await stateOf(invoice.id)).toMatchObject({
      state: "handed_over",
      externalId: atStripe(invoice.id).id,
      attempts: 1,
      error: null,
    });
    const calls = stripe.calls.length;
    await handOver();
    t.clock.advance(LEASE_MS);
    await handOver();
    expect(stripe.calls).toHaveLength(calls);
  });

  it("goes to the customer that the account was said to be", async () => {
    const invoice = await finalized();
    stripe.customers.push({ id: "cus_of_old", object: "customer", metadata: {} });
    await t.send("PUT", `/v1/accounts/${invoice.account}/payment-customers/stripe`, { body: { customer: "cus_of_old" } });
    await handOver();
    expect(stripe.invoicesOf(invoice.id)).toMatchObject([{ status: "open", customer: "cus_of_old" }]);
    expect(customersOf(invoice)).toEqual([]);
  });

  it("is less what was credited before it fell due, whatever is credited after", async () => {
    const invoice = await finalized();
    const credit = (amountUsdMicros: number, idempotencyKey: string) =>
      t.send("POST", `/v1/invoices/${invoice.id}/credit-notes`, { body: { amountUsdMicros, reason: "r", idempotencyKey } });
    await credit(1_000_000, "before");
    once(({ path }) => path.endsWith("/finalize"), "lost before");
    await handOver();
    await credit(2_000_000, "after");
    t.clock.advance(RETRY_DELAYS_MS[0]);
    await handOver();
    expect(atStripe(invoice.id)).toMatchObject({ status: "open", items: [500, 8, 12, -100] });
  });

  it("that is void or credited away is never handed over", async () => {
    const voided = await finalized();
    await t.send("POST", `/v1/invoices/${voided.id}/void`);
    const credited = await finalized();
    const body = { amountUsdMicros: credited.totalUsdMicros, reason: "r", idempotencyKey: "k" };
    await t.send("POST", `/v1/invoices/${credited.id}/credit-notes`, { body });
    await handOver();
    expect([...stripe.invoicesOf(voided.id), ...stripe.invoicesOf(credited.id)]).toEqual([]);
    expect(await t.send("GET", `/v1/invoices/${voided.id}/hand-over`)).toMatchObject({ status: 404 });
  });
});

describe("whatever fails", () => {
  const mishaps: [string, Mishap][] = [
    ["a call that never arrives", "lost before"],
    ["an answer that is lost", "lost after"],
    ["a fault of Stripe's", { status: 500, message: "An unknown error occurred" }],
    ["too many calls", { status: 429, message: "Too many requests" }],
  ];
  const table = STEPS.flatMap(([step, fits]) => mishaps.map(([what, mishap]) => ({ step, fits, what, mishap })));

  it.each(table)("$step, $what: one invoice and each item once, after a retry", async ({ fits, mishap }) => {
    const invoice = await finalized();
    once(fits, mishap);
    expect(await handOver()).toMatchObject({ handedOver: 0, postponed: 1, failed: 0 });
    expect(await stateOf(invoice.id)).toMatchObject({ state: "pending", attempts: 1, error: expect.any(String) });
    await handOver();
    expect(await stateOf(invoice.id)).toMatchObject({ attempts: 1 });
    t.clock.advance(RETRY_DELAYS_MS[0]);
    expect(await handOver()).toMatchObject({ handedOver: 1, postponed: 0 });
    expect(atStripe(invoice.id)).toMatchObject({ status: "open", items: [500, 8, 12] });
    expect(
      stripe.customers.filter(({ metadata }) => (metadata as Record<string, string>)["weir_account"] === invoice.account),
    ).toHaveLength(1);
  });

  it("an outage of days loses nothing: it is tried eleven times, then shown until the operator has it tried again", async () => {
    const invoice = await finalized();
    stripe.mishap = () => "lost before";
    for (const delay of RETRY_DELAYS_MS) {
      expect(await handOver()).toMatchObject({ postponed: 1 });
      t.clock.advance(delay);
    }
    expect(await handOver()).toMatchObject({ failed: 1 });
    t.clock.advance(30 * 86_400_000);
    expect(await handOver()).toMatchObject({ handedOver: 0, postponed: 0, failed: 0 });
    expect(await stateOf(invoice.id)).toMatchObject({ state: "failed", attempts: 11, nextAttemptAt: null });
    expect((await t.engine.examine()).find(({ check }) => check === "payments")).toMatchObject({
      state: "failed",
      found: expect.stringContaining(invoice.id),
    });
    stripe.mishap = () => null;
    expect(await t.send("POST", `/v1/invoices/${invoice.id}/hand-over`)).toMatchObject({ status: 200, body: { state: "pending" } });
    expect(await handOver()).toMatchObject({ handedOver: 1 });
    expect(atStripe(invoice.id)).toMatchObject({ status: "open" });
  });

  it("what Stripe refuses for good is not tried again by itself, and under a new key once it may", async () => {
    const invoice = await finalized();
    once(({ path }) => path.endsWith("/finalize"), { status: 400, message: "Missing email." });
    expect(await handOver()).toMatchObject({ failed: 1 });
    expect(await stateOf(invoice.id)).toMatchObject({ state: "failed", error: "Stripe answered 400: Missing email." });
    await t.send("POST", `/v1/invoices/${invoice.id}/hand-over`);
    expect(await handOver()).toMatchObject({ handedOver: 1 });
    expect(atStripe(invoice.id)).toMatchObject({ status: "open", items: [500, 8, 12] });
  });

  it("an invoice to which Stripe adds something of its own stays a draft there", async () => {
    const invoice = await finalized();
    once(({ method, path }) => {
      if (method === "GET" && path.startsWith("/v1/invoices/in_")) {
        const [made] = stripe.invoicesOf(invoice.id);
        stripe.items.push({ id: "ii_foreign", object: "invoiceitem", invoice: made?.id, amount: 99, metadata: {} });
      }
      return false;
    }, "lost before");
    expect(await handOver()).toMatchObject({ failed: 1 });
    expect(await stateOf(invoice.id)).toMatchObject({
      state: "failed",
      error: expect.stringContaining("comes to 619 at Stripe, and to 520 here"),
    });
    expect(atStripe(invoice.id)).toMatchObject({ status: "draft" });
  });

  it.each(STEPS.filter(([step]) => step !== "the total"))(
    "a process killed when Stripe has done %s and nothing was recorded: the next goes on under the same keys, to the same one invoice",
    async (_step, fits) => {
      const invoice = await finalized();
      const doomed = await EngineProcess.start({ ...stores(), now: t.clock.now(), payments: options });
      const killed: Promise<void>[] = [];
      stripe.mishap = (call) => {
        if (killed.length > 0 || !fits(call)) return null;
        killed.push(doomed.kill());
        return "lost after";
      };
      await expect(doomed.order({ kind: "hand over" })).rejects.toThrow("ended");
      await Promise.all(killed);
      const before = keysOf(invoice);
      expect(before.length).toBeGreaterThan(0);
      stripe.mishap = () => null;
      // What was made just before cannot be found yet: the keys alone tell.
      stripe.listsNothing = true;
      await handOver();
      expect(await stateOf(invoice.id)).toMatchObject({ state: "pending", attempts: 1 });
      t.clock.advance(LEASE_MS);
      const from = stripe.calls.length;
      expect(await handOver()).toMatchObject({ handedOver: 1 });
      expect(keysOf(invoice, from)).toContain(before.at(-1));
      expect(atStripe(invoice.id)).toMatchObject({ status: "open", items: [500, 8, 12] });
      expect(customersOf(invoice)).toHaveLength(1);
      expect(await stateOf(invoice.id)).toMatchObject({ state: "handed_over" });
    },
  );

  it("four processes at once hand each over once", async () => {
    const invoices = [await finalized(), await finalized(), await finalized()];
    const others = await Promise.all(
      [0, 1, 2].map(() => createEngine({ ...stores(), clock: t.clock, redisTimeoutMs: 5_000, payments: options })),
    );
    await Promise.all([handOver(), ...others.map((other) => other.payments.handOverDue())]);
    await Promise.all(others.map((other) => other.close()));
    for (const { id } of invoices) expect(atStripe(id)).toMatchObject({ status: "open", items: [500, 8, 12] });
  });
});

describe("a payment that Stripe tells of", () => {
  const opened = async () => {
    const invoice = await finalized();
    await handOver();
    const [made] = stripe.invoicesOf(invoice.id);
    if (!made) throw new Error("it was not handed over");
    return { invoice, made };
  };

  it("marks the invoice as paid, once, however often it is told", async () => {
    const { invoice, made } = await opened();
    const body = stripe.paidEvent(made);
    for (let i = 0; i < 3; i++) {
      expect(await tell(body, sign(body, t.clock.now()))).toMatchObject({ status: 200, body: { received: true } });
      t.clock.advance(1_000);
    }
    expect(await invoiceOf(invoice.id)).toMatchObject({ state: "paid", payment: made.id, amountDueUsdMicros: 0 });
    expect(await stateOf(invoice.id)).toMatchObject({ state: "settled" });
    const calls = stripe.calls.length;
    await handOver();
    expect(stripe.calls).toHaveLength(calls);
  });

  it("is told before the hand-over was recorded", async () => {
    const invoice = await finalized();
    once(({ path }) => path.endsWith("/finalize"), "lost after");
    await handOver();
    const [made] = stripe.invoicesOf(invoice.id);
    const body = stripe.paidEvent(made!);
    expect(await tell(body, sign(body, t.clock.now()))).toMatchObject({ status: 200 });
    t.clock.advance(RETRY_DELAYS_MS[0]);
    expect(await handOver()).toMatchObject({ handedOver: 0, settled: 0, postponed: 0 });
    expect(await invoiceOf(invoice.id)).toMatchObject({ state: "paid" });
    expect(await stateOf(invoice.id)).toMatchObject({ state: "settled", externalId: made?.id });
  });

  it("changes nothing where the signature is another's, too old, of another body, or missing", async () => {
    const { invoice, made } = await opened();
    const body = stripe.paidEvent(made);
    const now = t.clock.now();
    for (const signature of [
      sign(body, now, "whsec_of_somebody_else"),
      sign(body, now - 301_000),
      sign(`${body} `, now),
      "t=1,v1=00",
      "nonsense",
      null,
    ])
      expect(await tell(body, signature)).toMatchObject({ status: 400, body: { code: "bad_request" } });
    expect(await invoiceOf(invoice.id)).toMatchObject({ state: "finalized" });
    expect(await tell(body, sign(body, now - 299_000))).toMatchObject({ status: 200 });
    expect(await invoiceOf(invoice.id)).toMatchObject({ state: "paid" });
  });

  it("of no concern is taken and forgotten: another type, another system's invoice, an invoice under another name", async () => {
    const { invoice, made } = await opened();
    const told = JSON.parse(stripe.paidEvent(made)) as { type: string; data: { object: Record<string, unknown> } };
    const object = told.data.object;
    for (const event of [
      { ...told, type: "invoice.finalized" },
      { ...told, type: "customer.created", data: { object: { id: "cus_1" } } },
      { ...told, data: { object: { ...object, metadata: {} } } },
      { ...told, data: { object: { ...object, metadata: { weir_invoice: "inv_unknown" } } } },
      { ...told, data: { object: { ...object, id: "in_another" } } },
    ]) {
      const body = JSON.stringify(event);
      expect(await tell(body, sign(body, t.clock.now()))).toMatchObject({ status: 200 });
    }
    expect(await invoiceOf(invoice.id)).toMatchObject({ state: "finalized" });
  });

  it("is not waited for where the invoice was voided, or paid elsewhere: Stripe is told", async () => {
    const [voided, paid] = [await opened(), await opened()];
    await t.send("POST", `/v1/invoices/${voided.invoice.id}/void`);
    await t.send("POST", `/v1/invoices/${paid.invoice.id}/pay`, { body: { payment: "cash" } });
    once(({ path }) => path.endsWith("/void"), "lost after");
    expect(await handOver()).toMatchObject({ settled: 1, postponed: 1 });
    t.clock.advance(RETRY_DELAYS_MS[0]);
    expect(await handOver()).toMatchObject({ settled: 1, postponed: 0 });
    expect([atStripe(voided.invoice.id).status, atStripe(paid.invoice.id).status]).toEqual(["void", "paid"]);
    const body = stripe.paidEvent(voided.made);
    expect(await tell(body, sign(body, t.clock.now()))).toMatchObject({ status: 200 });
    expect(await invoiceOf(voided.invoice.id)).toMatchObject({ state: "void" });
    expect(await stateOf(paid.invoice.id)).toMatchObject({ state: "settled" });
  });
});
