import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { iso } from "../../../src/kernel/window.ts";
import type { Invoice } from "../../../src/invoices/invoice.ts";
import type { BucketTotal } from "../../../src/ledger/bucket.ts";
import { sumOldDays } from "../../../src/ledger/day-sums.ts";
import { bookUsage } from "../../../src/ledger/ledger-store.ts";
import { loadQuery, runQuery } from "../../../src/stores/database.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const METERS = ["state_requests", "state_sqlite_rows_written"];
const KEPT_MONTHS = 3;
const HOUR = 3_600_000;
/** Months that end at other hours than UTC days do, and at a quarter of one. */
const ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
const BEGAN = Date.parse("2026-05-10T07:20:00Z");
const ENDED = Date.parse("2026-07-01T00:00:00Z");
const LATER = "2026-11-21T12:00:00.000Z";

let t: TestApp;
const accounts: string[] = [];
let totals: BucketTotal[];

beforeAll(async () => {
  t = await openTestApp();
  t.clock.set(BEGAN);
  for (const timezone of ZONES) {
    const account = `acct_${timezone.toLowerCase().replace("/", "_")}`;
    await t.engine.limits.putAccount(account, { plan: "free", timezone, billingAnchorDay: 1 }, t.clock.now());
    accounts.push(account);
  }
  totals = accounts.flatMap(usageOf);
  for (const at of ["2026-06-02T12:00:00Z", "2026-06-17T15:23:10Z", "2026-07-05T12:00:00Z", "2026-08-05T12:00:00Z", LATER]) {
    t.clock.set(at);
    for (const part of parts(totals.filter(({ bucket }) => bucket < t.clock.now()))) await bookUsage(t.engine.db, part, []);
    // A change of plan in the middle of an hour.
    if (at.startsWith("2026-06-17"))
      for (const account of accounts) await t.engine.limits.putAccount(account, { plan: "pro" }, t.clock.now());
    await t.engine.invoices.run(t.clock.now());
  }
});
afterAll(() => t.stop());

/** Every hour, in two epochs and of two sources, in quarters where the zone has them; a different quantity each. */
function usageOf(account: string): BucketTotal[] {
  const rows: BucketTotal[] = [];
  for (let bucket = Math.floor(BEGAN / HOUR) * HOUR + HOUR; bucket < ENDED + 40 * HOUR; bucket += HOUR / 4)
    for (const [i, meter] of METERS.entries())
      for (const source of ["a", "b"])
        if (bucket % HOUR === 0 || account.endsWith("kathmandu"))
          rows.push({
            account,
            epoch: 0,
            source,
            bucket,
            service: i === 0 ? "s" : "",
            namespace: "",
            meter,
            quantity: 1 + (rows.length % 97),
          });
  return rows;
}

function* parts<T>(rows: readonly T[]): Generator<T[]> {
  for (let i = 0; i < rows.length; i += 5_000) yield rows.slice(i, i + 5_000);
}

async function rowsLeft(): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from usage_buckets where bucket < ${iso(ENDED)}::timestamptz`.execute(
    t.engine.db,
  );
  return rows[0]?.n ?? 0;
}

/** What invoices are made of and people are shown: sums by UTC day and place, by billing month, and around the change of plan. */
async function sums(): Promise<unknown> {
  const { db } = t.engine;
  const days = await sql`
    select account, date_trunc('day', bucket, 'UTC')::text as day, meter, service, sum(quantity)::text as quantity
    from usage_buckets group by 1, 2, 3, 4 order by 1, 2, 3, 4`.execute(db);
  const windows = await sql<{ account: string; from: string; to: string }>`
    select p.account, w.from_at::text as from, w.to_at::text as to
    from billing_periods p
    cross join lateral (select p.period_start, p.period_end
      union all select p.period_start, timestamptz '2026-06-17T15:00:00Z' where p.period_start < '2026-06-17T15:00:00Z' and p.period_end > '2026-06-17T15:00:00Z'
      union all select timestamptz '2026-06-17T15:00:00Z', timestamptz '2026-06-17T16:00:00Z'
      union all select timestamptz '2026-06-17T16:00:00Z', p.period_end where p.period_end > '2026-06-17T16:00:00Z') w (from_at, to_at)
    order by 1, 2, 3`.execute(db);
  const column = (of: (w: { account: string; from: string; to: string }) => string): string[] => windows.rows.map(of);
  const inWindows = await runQuery(db, loadQuery("sums-in-windows"), [
    windows.rows.map((_, i) => i),
    column((w) => w.account),
    column((w) => w.from),
    column((w) => w.to),
    column((w) => w.to),
    [],
  ]);
  expect(inWindows.length).toBeGreaterThan(accounts.length * 4);
  return { days: days.rows, inWindows: inWindows.map((row) => JSON.stringify(row)).toSorted() };
}

const invoices = async (): Promise<Invoice[]> =>
  (await Promise.all(accounts.map((account) => t.engine.invoices.list(account, null, 20)))).flat();

describe("hours that are summed by day", () => {
  let before: unknown;
  let billed: unknown;
  let hours: number;

  beforeAll(async () => {
    [before, billed, hours] = [await sums(), await invoices(), await rowsLeft()];
  });

  test("are those of months that are old enough, and there were many", async () => {
    expect(hours).toBeGreaterThan(10_000);
    const tooEarly = Date.parse("2026-09-30T23:59:59Z");
    const report = await sumOldDays(t.engine.db, KEPT_MONTHS, tooEarly);
    expect(report.hours).toBeGreaterThan(0);
    expect(await sums()).toEqual(before);
    // June is not three whole months over yet.
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from usage_buckets where source = 'days' and bucket >= '2026-06-01'`.execute(t.engine.db);
    expect(rows).toEqual([{ n: 0 }]);
  });

  test("leave every sum as it was, in far fewer rows, though all is booked again meanwhile; once more there is nothing to do", async () => {
    const { db } = t.engine;
    const summing = sumOldDays(db, KEPT_MONTHS, t.clock.now());
    await Promise.all([...parts(totals)].map((part) => bookUsage(db, part, [])));
    const report = await summing;
    expect(report.hours / report.days).toBeGreaterThan(20);
    expect(await sums()).toEqual(before);
    expect(await rowsLeft()).toBeLessThan(hours / 15);
    expect(await sumOldDays(db, KEPT_MONTHS, t.clock.now())).toEqual({ hours: 0, days: 0 });
  });

  test("count nothing twice when all that was ever booked is booked again, and more: that is set aside, the greatest of each", async () => {
    const { db } = t.engine;
    const more = totals.map((row) => ({ ...row, quantity: row.quantity + 1_000 }));
    for (const booked of [more, totals]) for (const part of parts(booked)) await bookUsage(db, part, []);
    expect(await sums()).toEqual(before);
    const { rows } = await sql`select count(*)::int as n, sum(quantity)::int as quantity from usage_set_aside`.execute(db);
    expect(rows).toEqual([{ n: more.length, quantity: more.reduce((sum, { quantity }) => sum + quantity, 0) }]);
  });

  test("bill nothing: invoices stay, every invariant holds, and of a correction of an old month that alone is billed", async () => {
    expect(await invoices()).toEqual(billed);
    expect((await t.engine.checkInvariants()).filter(({ violations }) => violations.length > 0)).toEqual([]);
    const correction = { meter: METERS[0] ?? "", quantity: 5, at: "2026-06-20T10:10:00.000Z", reason: "missed", idempotencyKey: "c" };
    for (const account of accounts) await t.engine.correct(account, correction, "key_operator");
    t.clock.set("2026-12-03T12:00:00.000Z");
    await t.engine.invoices.run(t.clock.now());
    for (const account of accounts) {
      const [newest] = await t.engine.invoices.list(account, null, 1);
      expect(newest?.lines.map(({ kind, quantity }) => [kind, Number(quantity)])).toEqual([
        ["subscription", 1],
        ["correction", 5],
      ]);
    }
  });
});
