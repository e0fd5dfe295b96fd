import { readdirSync, readFileSync } from "node:fs";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkInvariants as nightly } from "../../../jobs/check-invariants.ts";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

/** Lawful use of every kind first, then a database that is damaged by hand: one check must name each damage. */

const NOW = "2026-11-21T12:30:00.000Z";
const ACCOUNT = "acct_1";

let stack: TestStack;
let engine: Engine;
let sql: postgres.Sql;
const clock = new ManualClock(NOW);

beforeAll(async () => {
  stack = await createTestStack();
  engine = await createEngine({ ...stack, redisPrefix: stack.keyPrefix, clock, redisTimeoutMs: 5_000 });
  sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await engine.close();
  await stack.stop();
});

const violated = async (): Promise<string[]> =>
  (await engine.checkInvariants()).filter((r) => r.violations.length > 0).map((r) => `${r.check}: ${JSON.stringify(r.violations)}`);

/** Another process that served an account and stopped in order: it closes the life it opened and seals what that was lent. */
async function closeAnother(): Promise<void> {
  await stack.loseRedis();
  const other = await createEngine({ ...stack, redisPrefix: stack.keyPrefix, clock, redisTimeoutMs: 5_000 });
  await other.gate.check({ account: ACCOUNT, usage: { state_requests: 1 } }, clock.now());
  await other.close();
}

const check = (account: string, usage: Record<string, number>, set?: number) =>
  engine.gate.check(
    { account, service: "s", namespace: "Room", object: "o", usage, ...(set === undefined ? {} : { storageBytes: { set } }) },
    clock.now(),
  );

it("reads every file of sql/checks, each with its sentence, and all finish", async () => {
  const results = await engine.checkInvariants();
  const files = readdirSync(new URL("../../../sql/checks/", import.meta.url)).filter((name) => name.endsWith(".sql"));
  expect(results.map((r) => `${r.check}.sql`)).toEqual(files.toSorted());
  expect(results.length).toBeGreaterThan(8);
  for (const { says, finished } of results) {
    expect(says).toMatch(/^[A-Z].*\.$/);
    expect(finished).toBe(true);
  }
});

it("finds nothing in lawful use: caps, corrections, calendars, lost stores, midnight and month ends", async () => {
  for (const [account, timezone] of [
    [ACCOUNT, "UTC"],
    ["acct_2", "Asia/Kolkata"],
  ] as const) {
    await engine.limits.putAccount(account, { plan: "pro", timezone, billingAnchorDay: 22 }, clock.now());
    await engine.limits.setCap(
      account,
      "state_requests",
      { period: "day", capValue: 1_000, hardStop: true, notifyAtPercent: 80 },
      clock.now(),
    );
  }
  const leases: string[] = [];
  for (let step = 0; step < 12; step++) {
    for (const account of [ACCOUNT, "acct_2"]) {
      await check(account, { state_requests: 90, state_sqlite_rows_read: 5 }, 10_000 * step);
      const key = `${account}/${step}`;
      await engine.correct(
        account,
        { meter: "state_requests", quantity: step % 2 ? -700 : 40, reason: "r", idempotencyKey: key },
        "operator",
      );
      for (let i = 0; i < 4; i++) await check(account, { state_requests: 250 });
      const { leaseId } = await engine.gate.leases.grant({ account, meters: { state_requests: 60, kv_reads: 5 } }, clock.now());
      leases.push(leaseId);
      const earlier = leases[Math.floor(step * 0.7)] ?? leaseId;
      await engine.gate.leases.settle(
        earlier,
        { seq: step, used: { state_requests: step * 3, kv_reads: 1 }, close: step % 5 === 2 },
        clock.now(),
      );
    }
    if (step % 3 === 0) await engine.rollUp();
    if (step % 4 === 1) await stack.loseRedis();
    if (step === 6)
      await engine.limits.setCap(
        ACCOUNT,
        "state_requests",
        { period: "day", capValue: 10, hardStop: true, notifyAtPercent: 80 },
        clock.now(),
      );
    if (step === 7) await engine.limits.putAccount(ACCOUNT, { billingAnchorDay: 3, timezone: "Asia/Kathmandu" }, clock.now());
    if (step === 8) await engine.limits.changePlan(ACCOUNT, "free", "now", clock.now());
    if (step === 5 || step === 10) await closeAnother();
    if (step === 9) await engine.reclaim("acct_2");
    clock.advance(2_700_000 + step * 600_000);
  }
  await engine.bookOwn();
  await engine.rollUp();
  expect(await violated()).toEqual([]);
});

/** Constraints and triggers that would refuse the damage are taken away with it; everything is undone after each. */
const GRANT = "insert into grants (account, meter, period, window_start, epoch, granted, limit_value) values";
const USAGE = "insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity) values";
const LEASED = "select account, bucket, 'kv_writes', '', '', epoch, lease, 1 from leases";
const OFF = "alter table corrections disable trigger corrections_append_only;";
const GRANTED = `insert into credit_grants (account, id, name, kind, currency, amount, priority, effective_at, cost_basis, idempotency_key, request, made_by, created_at)
  values ('acct_1', 'crg_1', 'n', 'paid', 'USD', 10, 50, now(), 1, 'k', '', 'operator', now())`;
const BURNED = "insert into credit_burns (account, credit_grant, invoice, amount, at) values";

const damages: [string, string, string][] = [
  [
    "quantities-in-range",
    "a negative total",
    `alter table usage_buckets drop constraint usage_buckets_quantity_check; ${USAGE} ('acct_1', '2026-11-21T12:00Z', 'state_requests', '', '', 1, 'x', -1)`,
  ],
  [
    "quantities-in-range",
    "a size beyond 2^53",
    "alter table object_levels drop constraint object_levels_bytes_check; update object_levels set bytes = 9007199254740992",
  ],
  ["buckets-on-edges", "a bucket at twelve past", `${USAGE} ('acct_1', '2026-11-21T12:12Z', 'state_requests', '', '', 1, 'x', 1)`],
  ["buckets-on-edges", "a day from 06:00", `${GRANT} ('acct_1', 'state_requests', 'day', '2026-11-21T06:00Z', 1, 1, 10)`],
  ["usage-of-known-accounts", "usage of nobody", `${USAGE} ('acct_none', '2026-11-21T12:00Z', 'state_requests', '', '', 0, 'x', 1)`],
  ["meters-known", "an unknown meter", `${USAGE} ('acct_1', '2026-11-21T12:00Z', 'nothing', '', '', 1, 'x', 1)`],
  ["meters-known", "a gauge that is counted", `${USAGE} ('acct_1', '2026-11-21T12:00Z', 'state_sqlite_storage_bytes', '', '', 1, 'x', 1)`],
  ["meters-known", "a cap of an unknown meter", "insert into caps values ('acct_1', 'nothing', 'day', 1, true, 80, now())"],
  ["usage-not-in-the-future", "usage of next week", `${USAGE} ('acct_1', '2026-12-05T12:00Z', 'state_requests', '', '', 1, 'x', 1)`],
  ["epochs-known", "usage of a life to come", `${USAGE} ('acct_1', '2026-11-21T12:00Z', 'state_requests', '', '', 99, 'x', 1)`],
  ["epochs-known", "a grant to no life", `${GRANT} ('acct_1', 'state_requests', 'day', '2026-11-21T00:00Z', 0, 1, 10)`],
  ["epochs-known", "an account ahead of itself", "update accounts set epoch = last_epoch + 1 where account = 'acct_1'"],
  [
    "grants-within-limit",
    "two lives lent more than the limit",
    `${GRANT} ('acct_1', 'state_duration_gb_milliseconds', 'day', '2026-11-21T00:00Z', 1, 60, 100), ('acct_1', 'state_duration_gb_milliseconds', 'day', '2026-11-21T00:00Z', 2, 41, 100)`,
  ],
  [
    "leases-in-order",
    "usage of a lease in another hour",
    `${USAGE.replace(" values", "")} ${LEASED.replace("bucket", "bucket - interval '1 hour'")}`,
  ],
  ["leases-in-order", "usage of a lease under another life", `${USAGE.replace(" values", "")} ${LEASED.replace("epoch", "epoch + 1")}`],
  ["leases-in-order", "a lease of a life to come", "update leases set epoch = 99"],
  ["accounts-have-a-plan", "an account without a plan", "delete from subscriptions where account = 'acct_2'"],
  ["accounts-have-a-plan", "an unknown plan", "update subscriptions set plan = 'gold' where account = 'acct_2'"],
  [
    "corrections-only-grow",
    "a correction removed",
    `${OFF} delete from corrections where account = 'acct_1' and number = 2; alter table corrections enable trigger corrections_append_only`,
  ],
  ["corrections-only-grow", "the guard off", OFF],
  [
    "gauges-in-order",
    "an integral that runs backwards",
    "insert into gauge_buckets values ('acct_2', 'state_sqlite_storage_bytes', '2026-11-21T01:00Z', 1, '2026-11-21T01:30Z', '2026-11-21T01:20Z', 5, 1, 1)",
  ],
  ["credits-within-grants", "a grant burned past what it was", `${GRANTED}; ${BURNED} ('acct_1', 'crg_1', 'inv_1', 11, now())`],
  ["credits-within-grants", "more given back than was burned", `${GRANTED}; ${BURNED} ('acct_1', 'crg_1', 'inv_1', -1, now())`],
];

it.each(damages)("%s finds %s", async (name, _, damage) => {
  // As far as the check sees it, the damage is there; the rollback leaves no trace for the next.
  const found = await sql
    .begin(async (transaction) => {
      await transaction.unsafe(damage).simple();
      const text = readFileSync(new URL(`../../../sql/checks/${name}.sql`, import.meta.url), "utf8");
      const rows = await transaction.unsafe(`with given as (select $1::timestamptz, $2::timestamptz) select * from (${text}) v`, [
        "2026-10-01T00:00:00Z",
        NOW,
      ]);
      throw new Found(rows.length);
    })
    .catch((error: unknown) => error);
  expect(found).toBeInstanceOf(Found);
  expect((found as Found).rows).toBeGreaterThan(0);
});

class Found extends Error {
  readonly rows: number;
  constructor(rows: number) {
    super(`${rows} rows`);
    this.rows = rows;
  }
}

it("finds the same slice by slice, as in a ledger of many accounts", async () => {
  expect(await sql`select from accounts`.then(({ count }) => count)).toBeGreaterThan(1);
  const named = async () =>
    (await engine.checkInvariants({ accountsAtOnce: 1, gently: true })).flatMap(({ check: name, violations, finished }) =>
      violations.length > 0 || !finished ? [`${name}: ${violations.length}`] : [],
    );
  expect(await named()).toEqual([]);
  // Before, between and after all that are known, and of none.
  await sql`insert into usage_buckets select a, '2026-11-21T12:00Z', 'state_requests', '', '', 0, 'x', 1 from unnest(array['0', 'acct_1x', 'zz']) a`;
  await sql`update document_series set last = last + 1 where series = 'invoice'`;
  expect(await named()).toEqual(["document-numbers-without-gaps: 1", "usage-of-known-accounts: 3"]);
  await sql`delete from usage_buckets where account in ('0', 'acct_1x', 'zz')`;
  await sql`update document_series set last = last - 1 where series = 'invoice'`;
  expect(await named()).toEqual([]);
});

it("tells of 20 rows at most, and that there are more", async () => {
  await sql`insert into usage_buckets select 'acct_none_' || n, '2026-11-21T12:00Z', 'state_requests', '', '', 0, 'x', 1 from generate_series(1, 30) n`;
  const result = (await engine.checkInvariants()).find((r) => r.check === "usage-of-known-accounts");
  expect(result).toMatchObject({ more: true, finished: true });
  expect(result?.violations).toHaveLength(20);
  const finding = (await engine.examine()).find((f) => f.check === "invariant usage-of-known-accounts");
  expect(finding).toMatchObject({ state: "failed", found: expect.stringContaining("more than 20 rows") as string });
  await expect(nightly.run(engine)).rejects.toThrow("usage-of-known-accounts: {");
  await sql`delete from usage_buckets where account like 'acct_none_%'`;
  expect(await violated()).toEqual([]);
  await nightly.run(engine);
});
