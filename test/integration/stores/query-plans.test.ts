import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants } from "../../../jobs/check-invariants.ts";
import { JOBS } from "../../../jobs/worker.ts";
import type { Engine } from "../../../src/engine.ts";
import { buildApp } from "../../../src/http/app.ts";
import { DAY_MS, iso } from "../../../src/kernel/window.ts";
import { openState } from "../../../src/state/open-state.ts";
import { ADMIN_KEY } from "../../support/app.ts";
import { NOON, openTestEngine, type TestEngine } from "../../support/engine.ts";
import { LOOPBACK } from "../../support/loopback.ts";
import { recordPlans, type RanStatement } from "../../support/query-plans.ts";

const ACCOUNT = "acct_1";
/** Months of usage, partitions each; and accounts beside ours that have what it has. */
const MONTHS = 14;
const OTHERS = 500;
const METERS = ["state_requests", "state_sqlite_rows_read", "state_sqlite_rows_written", "worker_requests"];

/** What is asked often, or of all accounts: how to know it, and how many months of usage it may touch. The default partition is always looked at. */
const HOT: readonly [name: string, text: RegExp, months: number][] = [
  ["loads an account", /^\s*select e\.meter,\s+weir_quantity/, 1],
  ["loads its caps", /select \* from "caps"/, 0],
  ["grants", /^\s*with asked as \(\s+select \* from unnest\(p_meters/, 1],
  ["books totals and keys", /-- Books totals of sources/, 0],
  ["books objects' sizes", /-- Books the sizes of objects/, 0],
  ["books gauges", /-- Books buckets of gauges/, 0],
  ["counts events", /insert into event_keys/, 1],
  ["writes leases", /insert into leases as l/, 0],
  ["appends corrections", /insert into corrections as c/, 0],
  ["writes the audit log", /update audit_heads h set hash/, 0],
  ["shows usage: booked lately", /-- An account's buckets from an hour on/, 1],
  ["shows usage: stranded budget", /select g\.account, g\.meter, g\.period, g\.window_start/, 1],
  ["shows a counter's history", /-- What a counter counted, entry by entry/, 1],
  ["shows a gauge's history", /-- The booked changes of a gauge/, 0],
  ["shows the largest objects", /from object_levels o\s+where o\.account/, 0],
  ["shows invoices", /select \* from "invoices" where "account"/, 0],
  ["shows notifications", /from "notifications" where "account"/, 0],
  // The billed month, the two that late usage may belong to, and the one after: an account's months begin on any day.
  ["composes invoices", /-- What was booked in many windows at once/, 4],
  ["finds months that ended", /from billing_periods p\s+where p\.closed_at is null/, 0],
  ["finds drafts that are due", /n\.month_ms as next_month_ms/, 0],
  ["closes months", /update billing_periods p\s+set closed_at/, 0],
  ["checks whom it bills", /distinct on \(v\.account\)/, 3],
  ["finds whom to deliver to", /with recursive waiting as/, 0],
  ["takes deliveries", /with endpoints as/, 0],
  ["tells of windows' ends", /-- Tells each account whose limit was reached/, 0],
  ["watches rates", /-- Booked usage by UTC hour/, 2],
  ["forgets events", /delete from event_keys/, 0],
  ["forgets keys", /delete from idempotency_keys/, 0],
  ["forgets leases", /delete from leases/, 0],
  ["forgets deliveries", /delete from deliveries/, 0],
  ["forgets objects' requests", /delete from object_requests where/, 0],
];
/** Other ways to rows than by their account: by a name of their own, by when they are due, and the first of a line. */
const ROWS_BY: readonly [index: RegExp, condition: RegExp][] = [
  [/^api_keys_pkey$/, /\(id = /],
  [/^document_numbers_pkey$/, /\(series = .* AND \(number = /],
  [/^event_keys_pkey$/, /\(key = /],
  [/^event_keys_by_time$/, /received_at < /],
  [/^idempotency_keys_by_age$/, /answered_at < /],
  [/^leases_by_end$/, /month_end < /],
  [/^deliveries_by_age$/, /created_at < /],
  [/^object_requests_by_age$/, /month_start < /],
  [/^deliveries_pending_mail$/, /next_attempt_at <= /],
  [/^notifications_limits_reached$/, /windowEnd.* <= .*windowEnd.* > /],
  [/^billing_periods_due$/, /period_end <= /],
  [/^invoices_drafts$/, /period_end <= /],
  // Before a month's partition is made: whether rows of it wait in the default one.
  [/^usage_buckets_default_/, /bucket >= .* AND \(bucket < /],
];
const FIRST_OF_A_LINE = /^(?:deliveries_pending|accounts_with_rate_alert)$/;

/** The scans of a statement that are bounded by nothing, as sentences. */
function unbounded({ text, scans }: RanStatement): string[] {
  return scans
    .filter(({ table, index, condition, rows }) => {
      if (!filled.has(table) || /\baccount\b/.test(condition ?? "")) return false;
      if (rows <= 1 && FIRST_OF_A_LINE.test(index ?? "")) return false;
      return !ROWS_BY.some(([name, by]) => name.test(index ?? "") && by.test(condition ?? ""));
    })
    .map((scan) => `${JSON.stringify(scan)} in ${text.replaceAll(/\s+/g, " ").slice(0, 200)}`);
}

/** The months of usage a statement touched. The default partition, empty as it should be, is none. */
function monthsOf({ scans }: RanStatement): string[] {
  const names = new Set(scans.flatMap(({ partition }) => partition ?? []));
  return [...names].filter((name) => /_\d{6}$/.test(name));
}
const NOTHING: RanStatement = { text: "", scans: [] };

let t: TestEngine;
let ran: RanStatement[];
/** Tables that have rows of every account. Of an empty one Postgres reads all there is, which tells nothing. */
let filled: ReadonlySet<string>;

beforeAll(async () => {
  t = await openTestEngine({ outbox: { egress: LOOPBACK } });
  t.clock.set("2026-10-05T12:00:00.000Z");
  await t.newAccount();
  await useEverything(t.engine, "first");
  for (const time of ["2026-11-01T12:00:00.000Z", "2026-11-03T12:00:00.000Z", NOON]) {
    t.clock.set(time);
    await runJobs(t.engine);
  }
  await useEverything(t.engine, "second");
  filled = await crowd();
  const recorder = await recordPlans(t.stack.databaseUrl);
  const engine = await t.another();
  await useEverything(engine, "third");
  for (const time of ["2026-12-01T12:00:00.000Z", "2026-12-03T12:00:00.000Z"]) {
    t.clock.set(time);
    await newUsage();
    await runJobs(engine);
  }
  await engine.close();
  ran = await recorder.read();
});
afterAll(() => t.stop());

/** All that a data plane, a dashboard and the jobs ask for. `round` tells keys apart. */
async function useEverything(engine: Engine, round: string): Promise<void> {
  const now = t.clock.now();
  const state = await openState(engine, join(t.stack.dataDir, `state-${round}`), (error) => process.stderr.write(`${String(error)}\n`));
  const app = await buildApp({ engine, state, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
  const send = async (method: "GET" | "POST" | "PUT", url: string, body?: object, key = ADMIN_KEY): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${key}`, ...(key === ADMIN_KEY ? { "weir-account": ACCOUNT } : {}) };
    const answer = await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
    if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.statusCode} ${answer.body}`);
    return answer.json();
  };
  const own = String((await send("POST", `/v1/accounts/${ACCOUNT}/keys`, { scope: "account" }))["key"]);
  await send("PUT", `/v1/accounts/${ACCOUNT}`, { rateAlert: true, email: "ops@example.com" });
  await send("POST", "/v1/webhooks", { url: "http://127.0.0.1:1/nobody" });
  await send("PUT", "/v1/usage/caps/worker_requests", { period: "day", capValue: 1_000 });

  const place = { account: ACCOUNT, service: "s", namespace: "Room", object: `o-${round}` };
  await send("POST", "/v1/check", {
    ...place,
    usage: { worker_requests: 450, state_requests: 1 },
    storageBytes: { delta: 10 },
    idempotencyKey: round,
  });
  const { reservation } = await send("POST", "/v1/check", { ...place, mode: "reserve", usage: { worker_requests: 5 } });
  await send("POST", `/v1/reservations/${(reservation as { id: string }).id}/settle`, { usage: { worker_requests: 3 } });
  const { leaseId } = await send("POST", "/v1/leases", { account: ACCOUNT, meters: { log_events: 60 }, holder: "h" });
  await send("POST", `/v1/leases/${String(leaseId)}/settle`, { seq: 1, used: { log_events: 30 }, renew: { log_events: 90 } });
  const event = {
    specversion: "1.0",
    type: "weir.usage",
    source: "billing",
    id: round,
    subject: ACCOUNT,
    data: { usage: { log_events: 2 } },
  };
  await send("POST", "/v1/events", event);
  const correction = { meter: "state_requests", quantity: -1, at: iso(now), reason: "counted twice", idempotencyKey: round };
  await send("POST", `/v1/accounts/${ACCOUNT}/corrections`, correction);
  await send("POST", "/v1/credits", { amountUsdMicros: 1, idempotencyKey: round });
  await engine.rollUp();
  await engine.bookOwn();

  for (const key of [ADMIN_KEY, own]) {
    const stretch = `from=${iso(now - 3 * DAY_MS)}&to=${iso(now)}`;
    const histories = ["state_requests&granularity=hour", "state_sqlite_storage_bytes&granularity=day"];
    for (const asked of histories) await send("GET", `/v1/usage/history?meter=${asked}&${stretch}`, undefined, key);
    for (const path of ["usage", "usage/objects", "invoices", "invoices/upcoming", "notifications", "webhooks"])
      await send("GET", `/v1/${path}`, undefined, key);
  }
  await runJobs(engine);
  await app.close();
  await state.close();
}

/** All but the nightly look at everything. */
async function runJobs(engine: Engine): Promise<void> {
  for (const job of JOBS) if (job !== checkInvariants) await job.run(engine);
}

async function newUsage(): Promise<void> {
  const sql = postgres(t.stack.databaseUrl, { max: 1 });
  await usedBefore(sql, t.clock.now(), 1);
  await sql`analyze usage_buckets`;
  await sql.end();
}

/**
 * Gives hundreds of accounts the rows that ours has, so that Postgres plans as for a full house; our own get a year of
 * usage. Answers the tables that are filled.
 */
async function crowd(): Promise<Set<string>> {
  const sql = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    // Without triggers and foreign keys: nobody looks at these rows but the planner.
    await sql`set session_replication_role = replica`;
    await sql`select weir_ensure_partition(${iso(t.clock.now())}::timestamptz - make_interval(months => m)) from generate_series(1, ${MONTHS}::int) m`;
    const tables = await sql<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'account'
      where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace`;
    for (const { name } of tables) {
      await sql`
        insert into ${sql(name)} overriding system value
        select (jsonb_populate_record(null::${sql(name)}, to_jsonb(r) || jsonb_build_object('account', 'other_' || n) || ${sql.unsafe(APART[name] ?? "'{}'")}::jsonb)).*
        from (select * from ${sql(name)} where account = ${ACCOUNT} limit 4) r
        cross join generate_series(1, ${OTHERS}::int) n
        on conflict do nothing`;
    }
    await sql`
      insert into event_keys select gen_random_uuid(), '2027-06-01' from generate_series(1, ${OTHERS}::int)`;
    await usedBefore(sql, t.clock.now(), MONTHS * 30);
    await sql`analyze`;
    const full = await sql<
      { name: string }[]
    >`select relname as name from pg_class where relnamespace = 'public'::regnamespace and reltuples >= ${OTHERS}`;
    return new Set(["usage_buckets", ...full.map(({ name }) => name)]);
  } finally {
    await sql.end();
  }
}

/** Usage of each of `days` days before `now`, in an hour of its own. */
async function usedBefore(sql: postgres.Sql, now: number, days: number): Promise<void> {
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select a, date_trunc('hour', ${iso(now)}::timestamptz) - make_interval(days => d - 1, hours => 1), m, 's', 'Room', 0, 'crowd', 5
    from unnest(array[${ACCOUNT}] || array(select 'other_' || n from generate_series(1, 50) n)) a,
         generate_series(1, ${days}::int) d, unnest(${METERS}::text[]) m`;
}

/** What else must differ between rows of different accounts, and what keeps the jobs from having thousands of things to do. */
const APART: Readonly<Record<string, string>> = {
  accounts: "jsonb_build_object('rate_alert', false)",
  api_keys: "jsonb_build_object('id', 'key_' || n)",
  audit_log: "jsonb_build_object('seq', 1000000 + n)",
  billing_periods: "case when r.closed_at is null then jsonb_build_object('period_end', '2027-01-01T00:00:00Z') else '{}' end",
  idempotency_keys: "jsonb_build_object('answered_at', '2027-06-01T00:00:00Z')",
  invoices:
    "jsonb_build_object('id', 'inv_' || n) || case when n % 2 = 0 then '{}' else jsonb_build_object('state', 'draft', 'number', null, 'finalized_at', null, 'period_end', '2027-06-01T00:00:00Z') end",
  notifications:
    "jsonb_build_object('type', 'usage.limit_reached', 'data', r.data || jsonb_build_object('windowEnd', '2026-01-01T00:00:00.000Z'))",
  document_numbers: "jsonb_build_object('number', 1000 + n)",
  deliveries: "jsonb_build_object('status', 'delivered', 'finished_at', now())",
};

describe("what is asked often, or of all accounts, touches one account or few months:", () => {
  test.each(HOT)("%s", (_, text, months) => {
    const found = ran.filter((statement) => text.test(statement.text));
    expect(found.length).toBeGreaterThan(0);
    expect(found.flatMap(unbounded)).toEqual([]);
    expect(Math.max(...found.map((statement) => monthsOf(statement).length))).toBeLessThanOrEqual(months);
  });
});

test("the tables that grow with accounts are filled", () => {
  const growing = [
    "accounts",
    "audit_heads",
    "audit_log",
    "billing_periods",
    "caps",
    "corrections",
    "deliveries",
    "document_numbers",
    "event_keys",
  ];
  const more = [
    "gauge_buckets",
    "grants",
    "idempotency_keys",
    "invoices",
    "leases",
    "notifications",
    "object_levels",
    "subscriptions",
    "webhooks",
  ];
  expect([...growing, ...more].filter((table) => !filled.has(table))).toEqual([]);
});

test("so does everything else that was asked", () => {
  expect(ran.length).toBeGreaterThan(300);
  expect(ran.flatMap(unbounded)).toEqual([]);
});

test("a statement that names neither account nor month is seen", async () => {
  const recorder = await recordPlans(t.stack.databaseUrl);
  const sql = postgres(t.stack.databaseUrl, { max: 1 });
  await sql`select sum(quantity) from usage_buckets where meter = 'state_requests'`;
  await sql`select name from accounts where name = 'nobody'`;
  await sql.end();
  const [sum, name] = (await recorder.read()).filter(({ text }) => /sum\(quantity\)|'nobody'/.test(text));
  expect(monthsOf(sum ?? NOTHING).length).toBeGreaterThanOrEqual(MONTHS);
  expect(unbounded(sum ?? NOTHING).length).toBeGreaterThanOrEqual(MONTHS);
  expect(unbounded(name ?? NOTHING)).toEqual([expect.stringContaining("accounts")]);
});
