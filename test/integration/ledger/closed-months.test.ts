import { sql } from "kysely";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { indexClosedMonths } from "../../../src/ledger/closed-months.ts";
import { ensurePartitions } from "../../../src/ledger/ledger-store.ts";
import { loadQuery, runQuery } from "../../../src/stores/database.ts";
import { makeRoles } from "../../../src/stores/roles.ts";
import { entryParameters } from "../../../src/usage/history-store.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const MONTHS = ["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"].map(Date.parse);
const BEFORE_APRIL_IS_OVER = Date.parse("2026-05-01T00:00:00Z") - 1;
const LATER = Date.parse("2026-11-21T12:00:00Z");
const calendar = { anchorDay: 1, timezone: "UTC" };

let t: TestEngine;
let account: string;
beforeAll(async () => {
  t = await openTestEngine();
  account = await t.newAccount();
  await ensurePartitions(t.engine.db, MONTHS);
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select a, hour, meter, 's', 'Room', 1, 'old', 1
    from generate_series('2026-03-01T00:00:00Z'::timestamptz, '2026-04-30T23:00:00Z', interval '1 hour') hour,
         unnest(array[${account}, 'acct_other', 'acct_third', 'acct_fourth']) a,
         unnest(array['state_requests', 'state_sqlite_rows_read', 'state_sqlite_rows_written', 'log_events']) meter`.execute(t.engine.db);
});
afterAll(() => t.stop());

async function planOfMarch(): Promise<string> {
  const stretch = { start: MONTHS[0] ?? 0, end: MONTHS[1] ?? 0 };
  const parameters = entryParameters({ account, meter: "state_requests", granularity: "hour", stretch, calendar }, "service", 1_000);
  const rows = await runQuery<Record<string, string>>(t.engine.db, `explain (costs off) ${loadQuery("usage-entries")}`, parameters);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}

const indexOfMarch = async (): Promise<boolean | null> => {
  const { rows } = await sql<{ valid: boolean }>`
    select indisvalid as valid from pg_index where indexrelid = to_regclass('usage_buckets_202603_covering')`.execute(t.engine.db);
  return rows[0]?.valid ?? null;
};

it("leaves to their owner the tables of another, and finds nothing to do in them", async () => {
  await makeRoles(t.stack.databaseUrl);
  const admin = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe("alter role weir_worker password 'for-tests'");
  await admin.end();
  const url = new URL(t.stack.databaseUrl);
  [url.username, url.password] = ["weir_worker", "for-tests"];
  expect(await indexClosedMonths(url.href, LATER)).toEqual([]);
});

it("are indexed by one process at a time: of several at once none fails, and each month is indexed once", async () => {
  const months = await Promise.all([1, 2, 3, 4].map(() => indexClosedMonths(t.stack.databaseUrl, LATER)));
  expect(months.flat().toSorted()).toEqual(["usage_buckets_202603", "usage_buckets_202604"]);
  await sql`drop index usage_buckets_202603_covering, usage_buckets_202604_covering`.execute(t.engine.db);
});

it("are indexed when they are over, once, and read from the index alone", async () => {
  expect(await indexClosedMonths(t.stack.databaseUrl, BEFORE_APRIL_IS_OVER)).toEqual(["usage_buckets_202603"]);
  expect(await indexClosedMonths(t.stack.databaseUrl, LATER)).toEqual(["usage_buckets_202604"]);
  expect(await indexClosedMonths(t.stack.databaseUrl, LATER)).toEqual([]);
  expect(await planOfMarch()).toContain("Index Only Scan using usage_buckets_202603_covering");
});

it("whose index was left half built get it again", async () => {
  await sql`update pg_index set indisvalid = false where indexrelid = 'usage_buckets_202603_covering'::regclass`.execute(t.engine.db);
  expect(await indexOfMarch()).toBe(false);
  expect(await indexClosedMonths(t.stack.databaseUrl, LATER)).toEqual(["usage_buckets_202603"]);
  expect(await indexOfMarch()).toBe(true);
});

it("still take what comes late", async () => {
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    values (${account}, '2026-03-05T05:00:00Z', 'state_requests', 's', 'Room', 2, 'late', 5)`.execute(t.engine.db);
  const { rows } = await sql<{ quantity: string }>`
    select sum(quantity)::text as quantity from usage_buckets
    where account = ${account} and meter = 'state_requests' and bucket < '2026-04-01T00:00:00Z'`.execute(t.engine.db);
  expect(rows[0]?.quantity).toBe(String(31 * 24 + 5));
});
