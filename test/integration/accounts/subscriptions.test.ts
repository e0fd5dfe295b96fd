import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listSubscriptions } from "../../../src/accounts/subscription-store.ts";
import { HOUR_MS, iso } from "../../../src/kernel/window.ts";
import { byteMilliseconds } from "../../../src/usage/byte-milliseconds.ts";
import { planParts, windowsOfMonth } from "../../../src/usage/plan-use.ts";
import { windowSums } from "../../../src/usage/window-sums-store.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const STORAGE = "state_sqlite_storage_bytes";
const NOVEMBER = { start: Date.parse("2026-11-01T00:00:00Z"), end: Date.parse("2026-12-01T00:00:00Z") };

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const change = (account: string, plan: string, effective = "now", more = {}) =>
  t.send("PUT", `/v1/accounts/${account}/subscription`, { body: { plan, effective, ...more } });
const subscription = async (account: string) => (await t.send("GET", `/v1/accounts/${account}/subscription`)).body;
const use = (account: string, requests: number) => t.check({ account, usage: { state_requests: requests } });

async function partsOfNovember(account: string) {
  const history = (await listSubscriptions(t.engine.db, [account], NOVEMBER.start)).get(account) ?? [];
  const month = { account, window: NOVEMBER, history };
  return planParts(month, await windowSums(t.engine.db, windowsOfMonth(month), [STORAGE]));
}

describe("a subscription", () => {
  it("has a history, a trial, a plan to come, and a way back", async () => {
    const account = await t.newAccount("free");
    const started = iso(t.clock.now());
    t.clock.advance(1_000);
    const upgraded = iso(t.clock.now());
    expect((await change(account, "pro", "now", { trialDays: 14 })).body).toMatchObject({ plan: "pro", nextPlan: null });
    expect((await t.send("POST", `/v1/accounts/${account}/subscription/cancel`)).body).toMatchObject({
      plan: "pro",
      nextPlan: { plan: "free", startsAt: "2026-12-01T00:00:00.000Z" },
    });
    expect(await subscription(account)).toMatchObject({
      current: { plan: "pro", startsAt: upgraded, trialEndsAt: "2026-12-05T12:00:01.000Z", catalogVersion: 1 },
      planned: { plan: "free", startsAt: "2026-12-01T00:00:00.000Z" },
      history: [{ plan: "free", startsAt: started, endsAt: upgraded }, { plan: "pro" }],
    });
    expect((await t.send("POST", `/v1/accounts/${account}/subscription/resume`)).body).toMatchObject({ plan: "pro", nextPlan: null });
    expect(await t.send("POST", `/v1/accounts/${account}/subscription/resume`)).toMatchObject({ status: 409, body: { code: "conflict" } });
    const told = await t.send("GET", "/v1/notifications", { account });
    expect(told.body["notifications"]).toMatchObject([
      { type: "subscription.changed", data: { plan: "pro", previousPlan: "free", effectiveAt: iso(t.clock.now()) } },
      { data: { plan: "free", previousPlan: "pro", effectiveAt: "2026-12-01T00:00:00.000Z" } },
      { data: { plan: "pro", previousPlan: "free", effectiveAt: upgraded } },
    ]);
  });

  it("keeps what was used under each plan apart, to the call, in the middle of an hour", async () => {
    const account = await t.newAccount("free");
    t.clock.advance(17 * 60_000);
    await use(account, 40_000);
    await t.check({ account, service: "s", namespace: "Room", object: "o", storageBytes: { set: 1_000 } });
    t.clock.advance(60_000);
    await change(account, "pro");
    await use(account, 1_500_000);
    t.clock.advance(90_000);
    await change(account, "free");
    await t.check({ account, usage: { kv_reads: 7 } });
    t.clock.advance(2 * HOUR_MS);
    await change(account, "pro");
    await use(account, 100);
    await t.engine.rollUp();
    const parts = await partsOfNovember(account);
    const byPlan = Object.fromEntries(parts.map((part) => [part.plan, part]));
    expect(byPlan["free"]?.sums.get("state_requests")?.usage).toBe(40_000n);
    expect(parts.map((part) => part.sums.get("kv_reads")?.usage ?? 0n)).toEqual([7n, 0n]);
    expect(byPlan["pro"]?.sums.get("state_requests")?.usage).toBe(1_500_100n);
    const whole = await byteMilliseconds(t.engine.db, account, STORAGE, NOVEMBER);
    expect(byPlan["free"]?.sums.get(STORAGE)?.level).toBe(1_000n * BigInt(60_000 + 2 * HOUR_MS));
    expect(parts.reduce((sum, part) => sum + (part.sums.get(STORAGE)?.level ?? 0n), 0n)).toBe(whole);
    const { billingEstimate } = await t.engine.usage(account);
    expect(billingEstimate.lineItems.find(({ meter }) => meter === "state_requests")).toMatchObject({
      currentMonthUsed: 1_540_100,
      billableAmount: 500_100,
      estimatedUsdMicros: 75_015,
    });
  });

  it("is refused a plan in another currency, and an unknown account a plan at all", async () => {
    const euro = { key: "euro", name: "Euro", currency: "EUR", subscriptionUsdMicrosPerMonth: 4_000_000 };
    await t.engine.applyCatalog({ plans: [euro] });
    const account = await t.newAccount("free");
    for (const plan of ["euro", "free"]) {
      t.clock.advance(1_000);
      await change(account, plan);
    }
    expect(await change(account, "pro")).toMatchObject({
      status: 409,
      body: { code: "conflict", message: expect.stringContaining("EUR") },
    });
    expect((await change(account, "euro")).status).toBe(200);
    expect(await change("acct_nobody", "pro")).toMatchObject({ status: 404 });
    expect(await change(account, "pro", "now", { trialDays: 0 })).toMatchObject({ status: 400, body: { code: "validation_failed" } });
  });

  it("is priced by the catalogue its month began with", async () => {
    const account = await t.newAccount("pro");
    const price = async () => (await t.engine.usage(account)).billingEstimate.subscriptionUsdMicrosPerMonth;
    t.clock.advance(1_000);
    const pro = t.engine.catalog.plans.find(({ key }) => key === "pro");
    await t.engine.applyCatalog({ plans: [{ ...pro, subscriptionUsdMicrosPerMonth: 9_000_000 }] });
    expect(await price()).toBe(5_000_000);
    t.clock.set("2026-12-01T00:00:00.000Z");
    expect(await price()).toBe(9_000_000);
  });
});

it("billing terms: set as a whole, read by the account, refused where they are wrong", async () => {
  const account = await t.newAccount("pro");
  const url = `/v1/accounts/${account}/billing-terms`;
  expect((await t.send("GET", url)).body).toEqual({ discounts: [], taxes: [] });
  const terms = {
    discounts: [
      { name: "Launch", percent: "12.5", until: "2027-03-01T00:00:00Z" },
      { name: "Gift", amountUsdMicros: 500_000 },
    ],
    taxes: [{ name: "VAT", percent: "19", inclusive: false }],
  };
  expect(await t.send("PUT", url, { body: terms })).toMatchObject({ status: 200, body: terms });
  expect((await t.send("GET", url, { key: await t.key("read_only", account) })).body).toEqual(terms);
  for (const wrong of [
    { discounts: [{ name: "x", percent: "101" }] },
    { discounts: [{ name: "x", percent: 10 }] },
    { discounts: [{ name: "x" }] },
    { taxes: [{ name: "", percent: "1" }] },
    { taxes: [{ name: "x", percent: "-1" }] },
    { extra: 1 },
  ])
    expect(await t.send("PUT", url, { body: wrong })).toMatchObject({ status: 400, body: { code: "validation_failed" } });
  expect((await t.send("PUT", "/v1/accounts/acct_nobody/billing-terms", { body: terms })).status).toBe(404);
  expect((await t.send("PUT", url, { body: terms, key: await t.key("account", account) })).status).toBe(403);
});

it("levels integrate in Postgres as they do here, whatever the window", async () => {
  const account = await t.newAccount("pro");
  for (let i = 0; i < 40; i++) {
    t.clock.advance(1 + ((i * 7_919) % 5_400_000));
    await t.check({ account, service: "s", namespace: "Room", object: `o${i % 3}`, storageBytes: { set: (i * 104_729) % 1_000_003 } });
  }
  await t.engine.rollUp();
  const end = Math.ceil(t.clock.now() / HOUR_MS) * HOUR_MS;
  for (let hours = 1; hours < 40; hours += 3) {
    const window = { start: end - hours * HOUR_MS, end: end + 5 * HOUR_MS };
    const { rows } = await sql<{ byte_milliseconds: string }>`
      select * from weir_level_time(${account}, ${STORAGE}, ${iso(window.start)}::timestamptz, ${iso(window.end)}::timestamptz)`.execute(
      t.engine.db,
    );
    expect(BigInt(rows[0]?.byte_milliseconds ?? -1)).toBe(await byteMilliseconds(t.engine.db, account, STORAGE, window));
  }
});
