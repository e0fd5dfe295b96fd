import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createEngine } from "../../../src/engine.ts";
import { HOUR_MS } from "../../../src/kernel/window.ts";
import type { PaymentOptions } from "../../../src/payments/open-adapter.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { Billing } from "../../support/billing.ts";
import { EngineProcess } from "../../support/engine-child.ts";
import { StripeServer, type Mishap } from "../../support/stripe-server.ts";

const RETRY_MS = 60_000;
const LEASE_MS = 5 * 60_000;

let stripe: StripeServer;
let options: PaymentOptions;
let t: TestApp;
let billing: Billing;
let customers = 0;

beforeAll(async () => {
  stripe = new StripeServer();
  options = optionsTo(await stripe.start());
  t = await openTestApp("weir", options);
  billing = new Billing(t);
});
afterAll(async () => {
  await t.stop();
  await stripe.stop();
});
beforeEach(() => {
  stripe.mishap = () => null;
});

const optionsTo = (apiUrl: string): PaymentOptions => ({
  provider: "stripe",
  from: null,
  meters: { state_requests: "weir_requests", log_events: "weir_logs" },
  stripe: { secretKey: "sk_test_nothing", webhookSecret: "whsec_nothing", apiUrl, daysUntilDue: 14 },
});
const stores = () => ({ databaseUrl: t.stack.databaseUrl, redisUrl: t.stack.redisUrl, redisPrefix: t.stack.keyPrefix });
const another = (of = options) => createEngine({ ...stores(), clock: t.clock, redisTimeoutMs: 5_000, payments: of });
const tell = () => t.engine.payments.tellUsage();

/** An account that Stripe knows, at the beginning of a new hour. */
async function known(): Promise<{ account: string; customer: string; hour: number }> {
  t.clock.set(Math.ceil((t.clock.now() + 1) / HOUR_MS) * HOUR_MS);
  const account = await t.newAccount("pro");
  const customer = `cus_known_${++customers}`;
  const named = await t.send("PUT", `/v1/accounts/${account}/payment-customers/stripe`, { body: { customer } });
  expect(named).toMatchObject({ status: 200, body: { customers: [{ provider: "stripe", customer }] } });
  return { account, customer, hour: t.clock.now() };
}

async function use(account: string, usage: Record<string, number>): Promise<void> {
  await billing.use(account, usage);
  await t.engine.rollUp();
}

/** What Stripe has counted of a customer, event by event: meter, quantity, time. */
const countedOf = (customer: string): [string, number, number][] =>
  stripe.meterEvents
    .filter((event) => event["payload[stripe_customer_id]"] === customer)
    .map((event) => [event["event_name"] ?? "", Number(event["payload[value]"]), Number(event["timestamp"]) * 1_000]);

const byMeter = (events: [string, number, number][]) => events.toSorted(([a], [b]) => a.localeCompare(b));

describe("usage that Stripe counts too", () => {
  it("is told when its hour is over, once; what is booked of it later is told as the difference", async () => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000, log_events: 7, kv_reads: 5 });
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
    t.clock.set(hour + HOUR_MS);
    await use(account, { state_requests: 30 });
    expect(await tell()).toEqual({ told: 2, postponed: 0 });
    expect(byMeter(countedOf(customer))).toEqual([
      ["weir_logs", 7, hour],
      ["weir_requests", 1_000, hour],
    ]);
    await billing.lateUsage(account, new Date(hour).toISOString(), 50);
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    t.clock.set(hour + 2 * HOUR_MS);
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    expect(countedOf(customer).slice(2)).toEqual([
      ["weir_requests", 50, hour],
      ["weir_requests", 30, hour + HOUR_MS],
    ]);
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
  });

  it("is that of accounts that Stripe knows, whose customer stays who it is", async () => {
    const { account, customer, hour } = await known();
    const unknown = await t.newAccount("pro");
    await use(unknown, { state_requests: 1_000 });
    const url = `/v1/accounts/${account}/payment-customers`;
    expect(await t.send("PUT", `${url}/stripe`, { body: { customer } })).toMatchObject({ status: 200 });
    expect(await t.send("PUT", `${url}/stripe`, { body: { customer: "cus_another" } })).toMatchObject({
      status: 409,
      body: { code: "conflict" },
    });
    expect(await t.send("PUT", `${url}/paypal`, { body: { customer } })).toMatchObject({ status: 400 });
    expect((await t.send("GET", url)).body).toMatchObject({ customers: [{ provider: "stripe", customer }] });
    t.clock.set(hour + HOUR_MS);
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
  });

  it.each<[string, Mishap]>([
    ["a call that never arrives", "lost before"],
    ["an answer that is lost", "lost after"],
    ["a fault of Stripe's", { status: 500, message: "An unknown error occurred" }],
    ["too many calls", { status: 429, message: "Too many requests" }],
    ["a refusal", { status: 400, message: "No meter found with event_name" }],
  ])("counts once after %s, also where more of the hour was booked meanwhile", async (_what, mishap) => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000 });
    t.clock.set(hour + HOUR_MS);
    stripe.mishap = () => mishap;
    expect(await tell()).toEqual({ told: 0, postponed: 1 });
    stripe.mishap = () => null;
    await billing.lateUsage(account, new Date(hour).toISOString(), 50);
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
    t.clock.advance(RETRY_MS);
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    expect(countedOf(customer)).toEqual([
      ["weir_requests", 1_000, hour],
      ["weir_requests", 50, hour],
    ]);
  });

  it("is counted once by a process that goes on where another was killed", async () => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000 });
    t.clock.set(hour + HOUR_MS);
    const doomed = await EngineProcess.start({ ...stores(), now: t.clock.now(), payments: options });
    const killed: Promise<void>[] = [];
    stripe.mishap = () => {
      if (killed.length === 0) killed.push(doomed.kill());
      return "lost after";
    };
    await expect(doomed.order({ kind: "tell usage" })).rejects.toThrow("ended");
    await Promise.all(killed);
    stripe.mishap = () => null;
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
    t.clock.advance(LEASE_MS);
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    expect(countedOf(customer)).toEqual([["weir_requests", 1_000, hour]]);
  });

  it("is counted once by four processes at once", async () => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000, log_events: 3 });
    t.clock.set(hour + HOUR_MS);
    const others = await Promise.all([another(), another(), another()]);
    await Promise.all([tell(), ...others.map((other) => other.payments.tellUsage())]);
    await Promise.all(others.map((other) => other.close()));
    expect(byMeter(countedOf(customer))).toEqual([
      ["weir_logs", 3, hour],
      ["weir_requests", 1_000, hour],
    ]);
  });

  it("is not lost while Stripe cannot be reached for days", async () => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000 });
    const cutOff = await another(optionsTo("http://127.0.0.1:1"));
    for (let day = 0; day < 5; day++) {
      t.clock.set(hour + HOUR_MS + day * 24 * HOUR_MS);
      expect(await cutOff.payments.tellUsage()).toEqual({ told: 0, postponed: 1 });
    }
    await cutOff.close();
    t.clock.advance(6 * HOUR_MS);
    expect(await tell()).toEqual({ told: 1, postponed: 0 });
    expect(countedOf(customer)).toEqual([["weir_requests", 1_000, hour]]);
  });

  it("that may have been counted and was not answered for a day is parked, not guessed", async () => {
    const { account, customer, hour } = await known();
    await use(account, { state_requests: 1_000 });
    t.clock.set(hour + HOUR_MS);
    stripe.mishap = () => "lost after";
    expect(await tell()).toEqual({ told: 0, postponed: 1 });
    t.clock.advance(24 * HOUR_MS);
    stripe.mishap = () => null;
    const calls = stripe.calls.length;
    expect(await tell()).toEqual({ told: 0, postponed: 0 });
    expect(stripe.calls).toHaveLength(calls);
    expect(countedOf(customer)).toHaveLength(1);
    expect((await t.engine.examine()).find(({ check }) => check === "payments")).toMatchObject({
      state: "warning",
      found: expect.stringContaining(`state_requests of ${account} at ${new Date(hour).toISOString()}`),
    });
  });
});
