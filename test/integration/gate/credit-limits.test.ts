import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findAccount } from "../../../src/accounts/account-store.ts";
import type { Decision } from "../../../src/gate/decision.ts";
import { putCreditLimits } from "../../../src/limits/credit-limit-store.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { Billing } from "../../support/billing.ts";

let t: TestApp;
let billing: Billing;
let year = 2027;
beforeAll(async () => {
  t = await openTestApp();
  billing = new Billing(t);
  await t.engine.applyCatalog({ plans: [PREPAID, { ...PREPAID, key: "dearer", name: "Dearer", charges: { log_events: each("10") } }] });
});
afterAll(() => t.stop());

const each = (priceUsdMicros: string) => ({ model: "per_unit", unitSize: 1, priceUsdMicros });
const PREPAID = {
  key: "prepaid",
  name: "Prepaid",
  subscriptionUsdMicrosPerMonth: 0,
  allowances: { log_events: { quantity: 100, period: "month", hard: false } },
  charges: { log_events: each("2"), kv_reads: each("5"), state_requests: each("1") },
  credits: { required: true },
};

/** A new account on the plan, in April of a year of its own, with so many micro-dollars. */
async function prepaid(...grants: number[]): Promise<string> {
  year += 1;
  billing.at(`${year}-04-02T00:00:00.000Z`);
  const account = await billing.newAccount("prepaid");
  for (const amount of grants) await grant(account, amount);
  return account;
}
let keys = 0;
const grant = (account: string, amountUsdMicros: number) =>
  t.send("POST", "/v1/credits", { account, body: { amountUsdMicros, idempotencyKey: `key ${(keys += 1)}` } });
const use = (account: string, log_events: number, more: object = {}): Promise<Decision> =>
  t.check({ account, usage: { log_events }, ...more });
const codes = ({ denials }: Decision) => denials.map(({ code, meter }) => [code, meter]);

describe("a plan that stops where credits are exhausted", () => {
  it("lets what is included through, then what credits pay for to the last unit; a top-up is in force for the next check", async () => {
    const account = await prepaid();
    expect((await use(account, 100)).allowed).toBe(true);
    const denied = await use(account, 1);
    expect(denied).toMatchObject({
      allowed: false,
      denials: [
        {
          code: "credits_exhausted",
          meter: "log_events",
          scope: "account",
          source: "plan",
          period: "month",
          used: 100,
          requested: 1,
          resetsAt: `${year}-05-01T00:00:00.000Z`,
          retryable: true,
        },
      ],
    });
    await grant(account, 1_001);
    // 500 × 2 = 1,000 of 1,001.
    expect((await use(account, 501)).allowed).toBe(false);
    for (const quantity of [1, 99, 250, 149]) expect((await use(account, quantity)).allowed).toBe(true);
    expect(codes(await use(account, 2))).toEqual([["credits_exhausted", "log_events"]]);
    expect((await use(account, 1)).allowed).toBe(true);
    expect((await use(account, 1)).allowed).toBe(false);
    await grant(account, 1);
    expect((await use(account, 1)).allowed).toBe(true);
    const { totalUsdMicros, lines } = await billing.upcoming(account);
    expect([totalUsdMicros, lines.map((line) => line.amountUsdMicros)]).toEqual([0, [1_002, -1_001, -1]]);
  });

  it("never passes them, from several processes at once and over two meters, and leaves next to nothing idle", async () => {
    const left = 20_000;
    const account = await prepaid(left);
    const engines = [t.engine, await t.another(), await t.another()];
    const asks = Array.from({ length: 1_200 }, (_, i) => {
      const usage = i % 3 === 0 ? { kv_reads: 1 + (i % 7) } : i % 3 === 1 ? { log_events: 1 + (i % 13) } : { log_events: 2, kv_reads: 3 };
      return engines[i % 3]!.gate.check({ account, usage }, t.clock.now());
    });
    const decisions = await Promise.all(asks);
    const denied = decisions.filter(({ allowed }) => !allowed);
    expect(denied.length).toBeGreaterThan(0);
    expect(denied.flatMap(codes).filter(([code]) => code !== "credits_exhausted")).toEqual([]);
    // What was denied in the rush was denied for what others had set aside at that moment: once it is over, all but a little is within reach.
    for (const quantity of [100, 10, 1])
      for (const meter of ["log_events", "kv_reads"])
        while ((await t.engine.gate.check({ account, usage: { [meter]: quantity } }, t.clock.now())).allowed);
    for (const engine of engines) await engine.bookOwn();
    const { lines, totalUsdMicros } = await billing.upcoming(account);
    const due = lines.filter(({ kind }) => kind === "usage").reduce((sum, line) => sum + line.amountUsdMicros, 0);
    expect(totalUsdMicros).toBe(0);
    expect(due).toBeLessThanOrEqual(left);
    expect(due).toBeGreaterThan(left * 0.99);
  });

  it("an idempotency key gets the answer that came of it, also where limits were raised for it, also when it is a denial", async () => {
    const account = await prepaid(20);
    const first = await use(account, 110, { idempotencyKey: "a" });
    expect(first.allowed).toBe(true);
    expect(await use(account, 110, { idempotencyKey: "a" })).toEqual(first);
    const denied = await use(account, 1, { idempotencyKey: "b" });
    expect(codes(denied)).toEqual([["credits_exhausted", "log_events"]]);
    await grant(account, 1_000);
    expect(await use(account, 1, { idempotencyKey: "b" })).toEqual(denied);
    expect((await use(account, 1, { idempotencyKey: "c" })).allowed).toBe(true);
  });

  it("limits that were put into force by a process that was killed before it told Redis are found by the next check", async () => {
    const account = await prepaid(100);
    expect((await use(account, 100)).allowed).toBe(true);
    const found = await findAccount(t.engine.db, account, t.clock.now());
    const of = { account, monthStart: Date.parse(`${year}-04-01T00:00:00.000Z`), plan: "prepaid" };
    expect(await putCreditLimits(t.engine.db, of, found?.limitsVersion ?? 0, new Map([["log_events", 150]]))).toBe(true);
    expect(await putCreditLimits(t.engine.db, of, found?.limitsVersion ?? 0, new Map([["log_events", 999]]))).toBe(false);
    expect((await use(account, 51)).allowed).toBe(false);
    expect((await use(account, 50)).allowed).toBe(true);
    expect((await use(account, 1)).allowed).toBe(false);
  });

  it("what is held counts: a reservation holds credits, and gives them back", async () => {
    const account = await prepaid(20);
    const held = await use(account, 110, { mode: "reserve", ttlSeconds: 3_600 });
    expect(held.allowed).toBe(true);
    expect((await use(account, 1)).allowed).toBe(false);
    await t.engine.gate.release(held.reservation?.id ?? "", t.clock.now());
    expect((await use(account, 110)).allowed).toBe(true);
    expect((await use(account, 1)).allowed).toBe(false);
  });

  it("a lease is lent what credits cover, and no more", async () => {
    const account = await prepaid(200);
    const lease = async (quantity: number) => {
      const { body } = await t.send("POST", "/v1/leases", { body: { account, meters: { log_events: quantity } } });
      return (body["granted"] as Record<string, number>)["log_events"];
    };
    expect(await lease(150)).toBe(150);
    expect(await lease(1_000)).toBe(50);
    expect((await use(account, 1)).allowed).toBe(false);
  });

  it("a new month brings what is included and what is left; a month that is not closed yet is paid first", async () => {
    const account = await prepaid(50);
    expect((await use(account, 120)).allowed).toBe(true); // 40 of 50
    billing.at(`${year}-05-01T00:00:00.000Z`);
    expect((await use(account, 105)).allowed).toBe(true); // the other 10
    expect((await use(account, 1)).allowed).toBe(false);
    billing.at(`${year}-05-02T00:00:00.000Z`);
    await billing.run();
    expect((await use(account, 1)).allowed).toBe(false);
    await grant(account, 2);
    expect((await use(account, 1)).allowed).toBe(true);
  });

  it("what is settled late for a month whose invoice is a draft is not left for the next", async () => {
    const account = await prepaid(60);
    expect((await use(account, 110)).allowed).toBe(true); // 20
    const { body } = await t.send("POST", "/v1/leases", { body: { account, meters: { log_events: 10 } } });
    expect(body["granted"]).toEqual({ log_events: 10 });
    billing.at(`${year}-05-01T00:00:00.000Z`);
    await billing.run();
    const settled = await t.send("POST", `/v1/leases/${String(body["leaseId"])}/settle`, { body: { seq: 1, used: { log_events: 10 } } });
    expect(settled.status).toBe(200);
    // 60 − 40 = 20 are left: 10 beyond what is included.
    expect((await use(account, 111)).allowed).toBe(false);
    expect((await use(account, 110)).allowed).toBe(true);
  });

  it("another plan has prices of its own; one that does not require credits has no such limit; a void grant pays for nothing more", async () => {
    const account = await prepaid(1_000);
    expect((await use(account, 200)).allowed).toBe(true); // 200 of 1,000
    billing.at(`${year}-04-03T00:00:00.000Z`);
    await t.send("PUT", `/v1/accounts/${account}/subscription`, { body: { plan: "dearer", effective: "now" } });
    // 100 anew, and 80 × 10.
    expect((await use(account, 181)).allowed).toBe(false);
    expect((await use(account, 180)).allowed).toBe(true);
    expect((await use(account, 1)).allowed).toBe(false);
    await t.send("PUT", `/v1/accounts/${account}/subscription`, { body: { plan: "pro", effective: "now" } });
    expect((await use(account, 1_000_000)).allowed).toBe(true);
    const other = await prepaid(1_000);
    expect((await use(other, 100)).allowed).toBe(true);
    const { body } = await t.send("GET", "/v1/credits", { account: other });
    const [{ id }] = body["credits"] as [{ id: string }];
    await t.send("DELETE", `/v1/credits/${id}`, { account: other });
    expect((await use(other, 1)).allowed).toBe(false);
  });

  it("a write to State that credits no longer pay for is 429 and names it; over HTTP too a check is answered", async () => {
    // Making the class is a request too.
    const account = await prepaid(4);
    const namespaces = `/v1/services/service_1/state/namespaces`;
    await t.send("POST", namespaces, { account, body: { name: "Room" } });
    const put = () =>
      t.send("PUT", `${namespaces}/Room/objects/room-1/values/counter`, { account, body: { value: "1", encoding: "text" } });
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await put());
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers[3]?.body).toMatchObject({
      code: "limit_exceeded",
      denials: [{ code: "credits_exhausted", meter: "state_requests", used: 4 }],
    });
    const { status, body } = await t.send("POST", "/v1/check", { body: { account, operation: "get" } });
    expect([status, body["denials"]]).toMatchObject([
      200,
      [{ code: "credits_exhausted", remedy: expect.stringContaining("weir credits grant") }],
    ]);
  });

  it("shows people no limit that moves, and every invariant holds", async () => {
    const account = await prepaid();
    await use(account, 100);
    const { body } = await t.send("GET", "/v1/usage", { account });
    const meter = (body["meters"] as { meter: string }[]).find((m) => m.meter === "log_events");
    expect(meter).toMatchObject({ used: 100, limit: null, state: "ok" });
    expect((await t.engine.checkInvariants()).filter((c) => c.violations.length > 0)).toEqual([]);
  });
});
