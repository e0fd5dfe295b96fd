import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { watchUsageRates } from "../../../jobs/watch-rates.ts";
import { listNotifications } from "../../../src/notifications/notification-store.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const METER = "state_requests";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
  t.clock.set("2026-11-21T12:20:00Z");
});
afterAll(() => t.stop());

/** Books `quantity` each of the `hours` hours before 11:00, by two services, and `last` from 11:00 to 12:00. */
async function book(account: string, hours: number, quantity: number, last: number): Promise<void> {
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select ${account}, '2026-11-21T11:00Z'::timestamptz - n * interval '1 hour', ${METER}, s, '', 0, 'seed',
           case when n = 0 then ${last}::bigint else ${quantity}::bigint end / 2
    from generate_series(0, ${hours}::int) n, unnest(array['a', 'b']) s`.execute(t.engine.db);
}

const alerts = async (account: string) =>
  (await listNotifications(t.engine.db, account, { after: null, limit: 10 })).filter((n) => n.type === "usage.rate_alert");

async function watched(rateAlert = true): Promise<string> {
  const account = await t.newAccount();
  const { body } = await t.send("PUT", `/v1/accounts/${account}`, { body: { rateAlert } });
  expect(body).toMatchObject({ account, rateAlert });
  return account;
}

it("tells of an hour with ten times the median, once, whoever looks and however often", async () => {
  const account = await watched();
  await book(account, 24, 200, 2_000);
  await Promise.all([watchUsageRates.run(t.engine), watchUsageRates.run(await t.another())]);
  await watchUsageRates.run(t.engine);
  t.clock.set("2026-11-21T13:10:00Z");
  await watchUsageRates.run(t.engine);
  t.clock.set("2026-11-21T12:20:00Z");
  expect((await alerts(account)).map((n) => n.data)).toEqual([
    {
      account,
      meter: METER,
      period: "hour",
      windowStart: "2026-11-21T11:00:00.000Z",
      windowEnd: "2026-11-21T12:00:00.000Z",
      percent: null,
      limit: null,
      used: 2_000,
      source: null,
      median: 200,
      factor: 10,
    },
  ]);
});

it.each<[what: string, on: boolean, hours: number, quantity: number, last: number]>([
  ["it is switched off", false, 24, 200, 2_000],
  ["it is less than ten times", true, 24, 200, 1_998],
  ["there are 23 hours of data", true, 23, 200, 2_000],
  ["it is below the floor", true, 24, 2, 998],
])("tells nothing when %s", async (_what, on, hours, quantity, last) => {
  const account = await watched(on);
  await book(account, hours, quantity, last);
  await watchUsageRates.run(t.engine);
  expect(await alerts(account)).toEqual([]);
});

it("looks at more accounts than go into one statement", async () => {
  const accounts: string[] = [];
  for (let i = 0; i < 55; i++) {
    const account = await t.newAccount();
    await t.engine.limits.putAccount(account, { rateAlert: true }, t.clock.now());
    accounts.push(account);
  }
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select a, '2026-11-21T11:00Z'::timestamptz - n * interval '1 hour', ${METER}, '', '', 0, 'seed', case when n = 0 then 3000 else 10 end
    from unnest(${accounts}::text[]) a, generate_series(0, 30) n`.execute(t.engine.db);
  await watchUsageRates.run(t.engine);
  for (const account of accounts) expect(await alerts(account)).toHaveLength(1);
});

it("stays as it is when it is left out, and is off for a new account", async () => {
  const account = await t.newAccount();
  expect((await t.send("GET", `/v1/accounts/${account}`)).body["rateAlert"]).toBe(false);
  await t.send("PUT", `/v1/accounts/${account}`, { body: { rateAlert: true } });
  expect((await t.send("PUT", `/v1/accounts/${account}`, { body: { name: "n" } })).body["rateAlert"]).toBe(true);
  expect((await t.send("PUT", `/v1/accounts/${account}`, { body: { rateAlert: false } })).body["rateAlert"]).toBe(false);
  expect((await t.send("PUT", `/v1/accounts/${account}`, { body: { rateAlert: "yes" } })).status).toBe(400);
});
