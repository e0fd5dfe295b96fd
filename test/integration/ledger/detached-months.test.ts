import { spawn } from "node:child_process";
import { once } from "node:events";
import { sql } from "kysely";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../../src/doctor/finding.ts";
import type { Invoice } from "../../../src/invoices/invoice.ts";
import { iso } from "../../../src/kernel/window.ts";
import { onBehalfOf } from "../../../src/kernel/caller.ts";
import type { BucketTotal } from "../../../src/ledger/bucket.ts";
import { bookUsage } from "../../../src/ledger/ledger-store.ts";
import { detachOldMonths } from "../../../src/ledger/retired-months.ts";
import { makeRoles } from "../../../src/stores/roles.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { killWith } from "../../support/kill-with.ts";
import { ROOT } from "../../support/tools.ts";

const KEPT_MONTHS = 14;
const DAY = 86_400_000;
const METER = "state_requests";
/** One whose billing months are the ledger's, one whose months begin in the middle of them and in another zone. */
const [UTC, ANCHORED] = ["acct_utc", "acct_anchored"];
const BEGAN = Date.parse("2025-01-01T06:00:00Z");
const ENDED = Date.parse("2025-04-30T00:00:00Z");
const [JANUARY, FEBRUARY] = ["usage_buckets_202501", "usage_buckets_202502"];
/** What is left when January and February are gone. */
const KEPT_FROM = "2025-03-01T00:00:00.000Z";
const ANCHORED_FROM = "2025-03-15T04:00:00.000Z";

let t: TestApp;
let totals: BucketTotal[];

beforeAll(async () => {
  t = await openTestApp("weir", null, { hoursKeptMonths: null, ledgerKeptMonths: KEPT_MONTHS });
  t.clock.set(BEGAN);
  const { limits, gate } = t.engine;
  await limits.putAccount(UTC, { plan: "pro" }, BEGAN);
  await limits.putAccount(ANCHORED, { plan: "pro", timezone: "America/New_York", billingAnchorDay: 15 }, BEGAN);
  for (const account of [UTC, ANCHORED])
    await gate.check({ account, service: "s", namespace: "Room", object: "o", usage: {}, storageBytes: { set: 1_000 } }, BEGAN);
  await t.engine.rollUp();
  totals = [UTC, ANCHORED].flatMap(usageOf);
  // Each month is booked in its own time, and none is billed yet.
  for (const month of ["2025-02", "2025-03", "2025-04", "2025-05"]) {
    t.clock.set(`${month}-01T00:00:00Z`);
    await bookUsage(
      t.engine.db,
      totals.filter(({ bucket }) => bucket < t.clock.now()),
      [],
    );
  }
});
afterAll(() => t.stop());

/** More than the plan includes, day by day, a different quantity each. */
function usageOf(account: string): BucketTotal[] {
  const rows: BucketTotal[] = [];
  for (let bucket = BEGAN + 6 * 3_600_000; bucket < ENDED; bucket += DAY)
    rows.push({ account, epoch: 0, source: "a", bucket, service: "s", namespace: "", meter: METER, quantity: 400_000 + rows.length });
  return rows;
}

const used = (account: string, from: string, to: string): number =>
  totals
    .filter((row) => row.account === account && row.bucket >= Date.parse(from) && row.bucket < Date.parse(to))
    .reduce((sum, { quantity }) => sum + quantity, 0);

const detach = (): Promise<string[]> => t.engine.upkeep.detachOldMonths();
const finding = async (check: string): Promise<Finding | undefined> => (await t.engine.examine()).find((found) => found.check === check);
const violated = async (): Promise<string[]> =>
  (await t.engine.checkInvariants()).filter(({ violations }) => violations.length > 0).map(({ check }) => check);
const invoices = async (account: string): Promise<Invoice[]> => t.engine.invoices.list(account, null, 40);

const correction = (at: string, idempotencyKey: string) => ({ meter: METER, quantity: 5, at, reason: "missed", idempotencyKey });
const correct = (account: string, at: string, key: string) =>
  t.send("POST", `/v1/accounts/${account}/corrections`, { body: correction(at, key) });

const history = (account: string, query: string) => t.send("GET", `/v1/usage/history?meter=${METER}&${query}`, { account });

async function attached(): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'usage_buckets'::regclass and c.relname like 'usage_buckets_2025%' order by 1`.execute(t.engine.db);
  return rows.map(({ name }) => name);
}

/** Writes past what guards the tables, to bring about what takes months, or a fault, to come about. */
async function byForce(statement: string): Promise<void> {
  const admin = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(`set session_replication_role = replica; ${statement}`).simple();
  await admin.end();
}

/** Who reads the ledger for long: nothing is detached meanwhile. Answers how to end it. */
async function longReader(): Promise<() => Promise<void>> {
  const reader = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  await reader.unsafe("begin; lock table usage_buckets in access share mode").simple();
  return () => reader.end();
}

describe("a month stays", () => {
  const needed = { check: "ledger months", state: "warning", remedy: expect.stringContaining("weir invoices run") as string };

  test("while somebody is not billed for that time", async () => {
    t.clock.set("2026-04-01T00:00:00Z");
    expect(await detach()).toEqual([]);
    const found = `${JANUARY} is older than is kept, and needed: ${ANCHORED} has a billing month that is not closed`;
    expect(await finding("ledger months")).toEqual({ ...needed, found });
    await t.engine.invoices.run(t.clock.now());
  });

  test("while an invoice that looks at it is not final", async () => {
    const which = `account = '${ANCHORED}' and period_end = '2025-03-15T04:00:00Z'`;
    const { rows } = await sql.raw<{ number: bigint }>(`select number from invoices where ${which}`).execute(t.engine.db);
    await byForce(`update invoices set state = 'draft', number = null, finalized_at = null where ${which}`);
    expect(await detach()).toEqual([]);
    expect((await finding("ledger months"))?.found).toContain(`${ANCHORED} has an invoice that is not final`);
    await byForce(
      `update invoices set state = 'finalized', number = ${rows[0]?.number}, finalized_at = '2025-03-16T04:00:00Z' where ${which}`,
    );
  });

  test("while it is not old enough, whatever is configured", async () => {
    t.clock.set("2026-03-31T23:59:59.999Z");
    expect(await detach()).toEqual([]);
    expect(await detachOldMonths(t.stack.databaseUrl, 1, t.clock.now())).toEqual([]);
    expect(await finding("ledger months")).toMatchObject({ state: "ok", found: "all usage is kept" });
  });

  test("while a correction in it is not billed", async () => {
    t.clock.set("2026-04-02T00:00:00Z");
    expect((await correct(UTC, "2025-01-20T00:00:00Z", "early")).status).toBe(201);
    expect(await detach()).toEqual([]);
    expect((await finding("ledger months"))?.found).toContain(`${UTC} has a correction that is not billed`);
    t.clock.set("2026-05-02T00:00:00Z");
    await t.engine.invoices.run(t.clock.now());
    // The draft of March was still to be had.
    const lines = (await invoices(UTC)).slice(0, 2).flatMap((invoice) => invoice.lines);
    expect(lines.map(({ kind, quantity }) => [kind, Number(quantity)])).toContainEqual(["correction", 5]);
  });

  test("where this process does not own it: weir migrate lets it go", async () => {
    await makeRoles(t.stack.databaseUrl);
    await byForce("alter role weir_worker password 'for-tests'");
    const url = Object.assign(new URL(t.stack.databaseUrl), { username: "weir_worker", password: "for-tests" });
    expect(await detachOldMonths(url.href, KEPT_MONTHS, t.clock.now())).toEqual([]);
    expect((await finding("ledger months"))?.remedy).toContain("weir migrate");
  });
});

describe("a month that is old enough and not needed", () => {
  let billed: Invoice[];

  test("is not answered from once it is retired; who is killed before it is detached leaves that to the next, of whom one does it", async () => {
    billed = [...(await invoices(UTC)), ...(await invoices(ANCHORED))];
    const end = await longReader();
    const module = new URL("src/ledger/retired-months.ts", `file://${ROOT}/`).href;
    const program = `import { detachOldMonths } from ${JSON.stringify(module)};
      await detachOldMonths(${JSON.stringify(t.stack.databaseUrl)}, ${KEPT_MONTHS}, ${t.clock.now()});`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "ignore" });
    killWith(child);
    const retired = async (): Promise<unknown> => (await sql`select partition, detached_at from retired_months`.execute(t.engine.db)).rows;
    await expect.poll(retired, { timeout: 30_000 }).toEqual([{ partition: JANUARY, detached_at: null }]);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await attached()).toContain(JANUARY);
    expect((await history(UTC, "granularity=day&from=2025-01-31&to=2025-02-02")).status).toBe(400);
    expect(await finding("ledger months")).toMatchObject({ state: "warning", found: expect.stringContaining(JANUARY) as string });
    await end();
    const gone = await Promise.all([detach(), detach(), detach()]);
    expect(gone.flat().toSorted()).toEqual([JANUARY, FEBRUARY]);
    expect(await attached()).toEqual(["usage_buckets_202503", "usage_buckets_202504"]);
    expect(await detach()).toEqual([]);
  });

  test("is a table by itself with all that was in it, which tenants do not see; the doctor names it", async () => {
    const { rows } = await sql<{ quantity: number }>`
      select sum(quantity)::int as quantity from ${sql.table(JANUARY)} where account = ${UTC}`.execute(t.engine.db);
    expect(rows).toEqual([{ quantity: used(UTC, "2025-01-01", "2025-02-01") }]);
    await sql`select weir_build_walls()`.execute(t.engine.db);
    const tenant = { account: UTC, actor: "key", scope: "account", operation: "test", changes: false, at: t.clock.now(), answered: false };
    const asked = onBehalfOf(tenant, () => sql`select 1 from ${sql.table(JANUARY)}`.execute(t.engine.walled));
    await expect(asked).rejects.toThrow("permission denied");
    const found = expect.stringMatching(`^usage is kept from ${KEPT_FROM} on; detached: 2: ${JANUARY} \\(.* MB\\), ${FEBRUARY}`) as string;
    expect(await finding("ledger months")).toEqual({ check: "ledger months", state: "ok", found, remedy: null });
  });

  test("is refused in histories, with the earliest that there is, and never shown as nothing", async () => {
    for (const [account, granularity, from] of [
      [UTC, "day", KEPT_FROM],
      [UTC, "month", KEPT_FROM],
      [ANCHORED, "hour", KEPT_FROM],
      [ANCHORED, "month", ANCHORED_FROM],
    ] as const) {
      const refused = await history(account, `granularity=${granularity}&from=2025-02-28&to=2025-03-20`);
      const message = `must be ${from} or later: usage before ${KEPT_FROM} is not kept`;
      expect(refused).toMatchObject({ status: 400, body: { code: "validation_failed", errors: [{ path: "from", message }] } });
      const { status, body } = await history(account, `granularity=${granularity}&from=${from}&to=2025-04-15`);
      expect(status).toBe(200);
      const sum = (body["series"] as { quantity: number }[]).reduce((n, { quantity }) => n + quantity, 0);
      const to = granularity === "month" ? (account === UTC ? "2025-05-01" : "2025-04-15T04:00:00Z") : "2025-04-15";
      expect(sum).toBe(used(account, from, to));
    }
    const levels = await t.send(
      "GET",
      `/v1/usage/history?meter=state_sqlite_storage_bytes&granularity=month&from=2025-01-01&to=2025-03-01`,
      {
        account: UTC,
      },
    );
    expect(levels.body["series"]).toMatchObject([{ quantity: 1_000 }, { quantity: 1_000 }]);
  });

  test("takes no more: what is booked again, and more, is set aside, and the doctor says what to do", async () => {
    const before = await attached();
    expect(await finding("usage set aside")).toMatchObject({ state: "ok", found: "none" });
    await bookUsage(
      t.engine.db,
      totals.map((row) => ({ ...row, quantity: row.quantity + 1 })),
      [],
    );
    await bookUsage(t.engine.db, totals, []);
    expect(await attached()).toEqual(before);
    const gone = totals.filter(({ bucket }) => bucket < Date.parse(KEPT_FROM));
    const { rows } = await sql`select count(*)::int as n from usage_set_aside`.execute(t.engine.db);
    expect(rows).toEqual([{ n: gone.length }]);
    const found = await finding("usage set aside");
    const sum = gone.filter(({ account }) => account === UTC).reduce((n, { quantity }) => n + quantity + 1, 0);
    const each = `${UTC}: ${sum} of ${METER} in ${gone.length / 2} totals from ${iso(BEGAN + 6 * 3_600_000)} to 2025-02-28T12:00:00.000Z`;
    expect(found).toMatchObject({ state: "warning", found: expect.stringContaining(each) as string });
    const [, typed = ""] = /in psql: (delete .*;)$/.exec(found?.remedy ?? "") ?? [];
    for (let i = 0; i < 2; i += 1) await sql.raw(typed.replace(ANCHORED, i === 0 ? UTC : ANCHORED)).execute(t.engine.db);
    expect(await finding("usage set aside")).toMatchObject({ state: "ok" });
  });

  test("is not corrected, nor is a billing month that lost a part with it; later ones are, and that alone is billed", async () => {
    const same = await correct(UTC, "2025-01-20T00:00:00Z", "early");
    expect(same).toMatchObject({ status: 201, body: { createdAt: "2026-04-02T00:00:00.000Z" } });
    for (const [account, at, from] of [
      [UTC, "2025-02-28T23:59:59.999Z", KEPT_FROM],
      [ANCHORED, "2025-03-15T03:59:59.999Z", ANCHORED_FROM],
    ] as const) {
      const message = `must be ${from} or later: of billing months before that usage is not kept`;
      expect(await correct(account, at, "late")).toMatchObject({ status: 400, body: { errors: [{ path: "at", message }] } });
      expect((await correct(account, from, "late")).status).toBe(201);
    }
    t.clock.set("2026-06-17T00:00:00Z");
    await t.engine.invoices.run(t.clock.now());
    for (const account of [UTC, ANCHORED]) {
      const since = (await invoices(account)).filter(({ id }) => billed.every((before) => before.id !== id));
      const lines = since.flatMap((invoice) => invoice.lines).filter(({ meter }) => meter === METER);
      expect(lines.map(({ kind, quantity }) => [kind, Number(quantity)])).toEqual([
        // What was booked one greater above, in the month that is corrected: it is rated again as a whole.
        ["usage", 31],
        ["correction", 5],
      ]);
    }
    const now = [...(await invoices(UTC)), ...(await invoices(ANCHORED))];
    expect(now).toEqual(expect.arrayContaining(billed));
  });

  test("is said to be gone where a line that was rated from it is explained, and refused where it would be rated under another plan", async () => {
    const lineOf = async (end: string) => {
      const invoice = (await invoices(ANCHORED)).find(({ period }) => iso(period.end) === end);
      const line = 1 + (invoice?.lines.findIndex(({ meter, kind }) => meter === METER && kind === "usage") ?? -1);
      return (await t.send("GET", `/v1/invoices/${invoice?.id ?? ""}/lines/${line}`)).body;
    };
    // It begins in February.
    expect(await lineOf("2025-03-15T04:00:00.000Z")).toMatchObject({ ledgerKept: false, ledger: null, agrees: true });
    const hours = expect.arrayContaining([expect.objectContaining({ quantity: expect.any(Number) as number })]) as unknown[];
    expect(await lineOf("2025-04-15T04:00:00.000Z")).toMatchObject({ ledgerKept: true, ledger: { hours }, agrees: true });
    const plan = t.engine.catalog.plans.find(({ key }) => key === "pro");
    const simulate = (from: string) =>
      t.send("POST", "/v1/pricing/simulate", { body: { account: UTC, plan, from, to: "2025-04-01T00:00:00Z" } });
    const message = `must be ${KEPT_FROM} or later: usage before that is not kept`;
    expect(await simulate("2025-02-28T23:00:00Z")).toMatchObject({ status: 400, body: { errors: [{ path: "from", message }] } });
    expect((await simulate(KEPT_FROM)).status).toBe(200);
  });

  test("may not be attached as if nothing had been, may be brought back, and goes again; every invariant holds", async () => {
    expect(await violated()).toEqual([]);
    const months = "for values from ('2025-02-01T00:00:00Z') to ('2025-03-01T00:00:00Z')";
    await byForce(`alter table usage_buckets attach partition ${FEBRUARY} ${months}`);
    expect(await violated()).toEqual(["retired-months-rest"]);
    await byForce(`delete from retired_months where partition = '${FEBRUARY}'`);
    expect(await violated()).toEqual([]);
    const { body } = await history(UTC, "granularity=month&from=2025-02-01&to=2025-03-01");
    expect(body["series"]).toMatchObject([{ quantity: used(UTC, "2025-02-01", "2025-03-01") }]);
    expect(await t.engine.upkeep.indexClosedMonths()).toEqual(expect.arrayContaining([FEBRUARY]));
    // By now March is old enough, too.
    expect(await detach()).toEqual([FEBRUARY, "usage_buckets_202503"]);
  });
});
