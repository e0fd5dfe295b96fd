import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { buildApp } from "../../../src/http/app.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import type { CheckResult } from "../../../src/ledger/invariants.ts";
import { openPostgres } from "../../../src/stores/database.ts";
import { SETTINGS } from "../../../src/stores/pooler.ts";
import { ADMIN_KEY } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";
import { pgbouncerProgram, startPgbouncer } from "../../support/pgbouncer.ts";
import { ShufflingPooler } from "../../support/shuffling-pooler.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const ACCOUNTS = 20;
const CHECKS = 15;
/** Machines that have no PgBouncer prove as much of it as the shuffling pooler is like it. */
const program = pgbouncerProgram();

let stack: TestStack;
const clock = new ManualClock(NOON);
const opened: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  stack = await createTestStack();
});
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});
afterAll(() => stack.stop());

async function shuffling(): Promise<ShufflingPooler> {
  const pooler = await ShufflingPooler.start(stack.databaseUrl);
  opened.push(() => pooler.stop());
  return pooler;
}

async function engineThrough(pooledUrl: string, prefix: string): Promise<Engine> {
  const { databaseUrl, redisUrl, keyPrefix } = stack;
  const redisPrefix = `${keyPrefix}${prefix}:`;
  const engine = await createEngine({
    databaseUrl,
    database: { pooledUrl, readUrl: null },
    redisUrl,
    redisPrefix,
    clock,
    redisTimeoutMs: 5_000,
  });
  opened.push(() => engine.close());
  return engine;
}

/** Settings of every new connection: what PgBouncer's connect_query does. */
async function setForAll(settings: Readonly<Record<string, string | number>>): Promise<void> {
  const sql = postgres(stack.databaseUrl, { max: 1 });
  const name = new URL(stack.databaseUrl).pathname.slice(1);
  await sql.unsafe(`alter database ${name} reset all`);
  for (const [setting, value] of Object.entries(settings)) await sql.unsafe(`alter database ${name} set ${setting} = '${value}'`);
  await sql.end();
}

/** Everything that goes to Postgres, by many at once; what comes of it must be right to the unit. Answers broken invariants. */
async function useThrough(engine: Engine, prefix: string): Promise<CheckResult[]> {
  const app = await buildApp({ engine, state: null, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
  opened.push(() => app.close());
  const accounts = Array.from({ length: ACCOUNTS }, (_, i) => `${prefix}_${i}`);
  await Promise.all(
    accounts.map(async (account, i) => {
      const send = async (
        method: "GET" | "POST" | "PUT",
        url: string,
        payload: object | null,
        key = ADMIN_KEY,
      ): Promise<Record<string, unknown>> => {
        const headers = { authorization: `Bearer ${key}`, ...(key === ADMIN_KEY ? { "weir-account": account } : {}) };
        const answer = await app.inject({ method, url, headers, ...(payload === null ? {} : { payload }) });
        if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.statusCode} ${answer.body}`);
        return answer.json();
      };
      await send("PUT", `/v1/accounts/${account}`, { plan: i % 2 === 0 ? "free" : "pro" });
      const key = String((await send("POST", `/v1/accounts/${account}/keys`, { scope: "account" }))["key"]);
      await send("PUT", "/v1/usage/caps/state_requests", { period: "day", capValue: CHECKS + i }, key);
      for (let n = 0; n < CHECKS; n++)
        await send("POST", "/v1/check", { account, usage: { state_requests: 1 }, idempotencyKey: `k${n}` }, key);
      await engine.bookAccount(account);
      await send("POST", "/v1/events", {
        specversion: "1.0",
        type: "weir.usage",
        source: "t",
        id: account,
        subject: account,
        data: { usage: { log_events: 2 } },
      });
      const { usage, usageCaps } = await send("GET", "/v1/usage", null, key);
      expect(usage).toMatchObject({ meters: { day: { state_requests: CHECKS, log_events: 2 } } });
      expect(usageCaps).toMatchObject([{ capValue: CHECKS + i }]);
      const history = await send("GET", "/v1/usage/history?meter=state_requests&granularity=month", null, key);
      expect(JSON.stringify(history)).toContain(String(CHECKS));
    }),
  );
  await engine.rollUp();
  await engine.invoices.run(clock.now());
  return (await engine.checkInvariants()).filter(({ violations }) => violations.length > 0);
}

describe("behind a pooler that gives each transaction another connection", () => {
  test("what a session was told is lost, and what Weir else tells it as it begins is refused", async () => {
    const pooler = await shuffling();
    const [told, other] = [0, 1].map(() => postgres(pooler.url, { max: 1, prepare: false, fetch_types: false }));
    if (!told || !other) throw new Error("no clients");
    opened.push(() => Promise.all([told.end({ timeout: 1 }), other.end({ timeout: 1 })]));
    await Promise.all([told`select 1`, other`select 1`]);
    await told`select set_config('weir.account', 'acct_1', false)`;
    expect(await told`select current_setting('weir.account', true) as account`).not.toEqual([{ account: "acct_1" }]);
    const plain = openPostgres(pooler.url);
    opened.push(() => plain.close());
    await expect(plain.db.selectFrom("accounts").selectAll().execute()).rejects.toThrow("unsupported startup parameter");
  });

  test("Weir does not start until the pooler's connections are set as they must be", async () => {
    const pooler = await shuffling();
    await expect(engineThrough(pooler.url, "unset")).rejects.toThrow(/connect_query must hold: .*set plan_cache_mode = force_custom_plan/);
  });

  test("all is counted, shown and billed as ever", async () => {
    await setForAll(SETTINGS);
    const pooler = await shuffling();
    expect(await useThrough(await engineThrough(pooler.url, "shuffled"), "shuffled")).toEqual([]);
    // How often is chance; that it happened is not.
    expect(pooler.shuffled).toBeGreaterThan(0);
  });
});

describe(`behind ${program === null ? "the same again: this machine has no PgBouncer" : "PgBouncer, set up as shipped"}`, () => {
  test("all is counted, shown and billed as ever, over two connections", async () => {
    const pooler = program === null ? await shuffling() : await startPgbouncer(program, stack.databaseUrl, stack.dataDir);
    if (program !== null) opened.push(() => pooler.stop());
    // What PgBouncer sets must come from its own configuration.
    await setForAll(program === null ? SETTINGS : {});
    expect(await useThrough(await engineThrough(pooler.url, "pooled"), "pooled")).toEqual([]);
  });
});
