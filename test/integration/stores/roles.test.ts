import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startJobs } from "../../../jobs/worker.ts";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { buildApp, type App } from "../../../src/http/app.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { openState } from "../../../src/state/open-state.ts";
import { migrate } from "../../../src/stores/migrate.ts";
import { makeRoles } from "../../../src/stores/roles.ts";
import { ADMIN_KEY } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const PASSWORD = "for-tests";

let stack: TestStack;
let engine: Engine;
let app: App;
const urlOf = (user: string): string => {
  const url = new URL(stack.databaseUrl);
  url.username = user;
  url.password = PASSWORD;
  return url.href;
};

beforeAll(async () => {
  stack = await createTestStack();
  await makeRoles(stack.databaseUrl);
  // A second time changes nothing.
  await makeRoles(stack.databaseUrl);
  const admin = postgres(stack.databaseUrl, { max: 1 });
  for (const role of ["weir_migrator", "weir_api", "weir_worker", "weir_readonly"])
    await admin.unsafe(`alter role ${role} password '${PASSWORD}'`);
  await admin.end();
  engine = await createEngine({
    databaseUrl: urlOf("weir_api"),
    redisUrl: stack.redisUrl,
    redisPrefix: stack.keyPrefix,
    clock: new ManualClock(NOON),
    redisTimeoutMs: 5_000,
    onTrouble: (error) => process.stderr.write(`${String(error)}\n`),
  });
  const state = await openState(engine, join(stack.dataDir, "state"), () => {});
  app = await buildApp({ engine, state, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
});
afterAll(async () => {
  await app.close();
  await engine.close();
  await stack.stop();
});

async function trial(user: string, statement: string): Promise<string> {
  const sql = postgres(urlOf(user), { max: 1, onnotice: () => {} });
  try {
    return await sql.unsafe(statement).then(
      () => "done",
      (error: Error) => error.message,
    );
  } finally {
    await sql.end();
  }
}

const REFUSED = /permission denied|must be owner|only grows/;

describe("the API's own user of Postgres", () => {
  it("is enough to serve: accounts, keys, limits, checks, State, the roll-up, a new month", async () => {
    const send = async (method: "PUT" | "POST" | "GET", url: string, body?: object, key = ADMIN_KEY) => {
      const headers = { authorization: `Bearer ${key}`, ...(key === ADMIN_KEY ? { "weir-account": "acct_1" } : {}) };
      const answer = await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
      expect([url, answer.statusCode, answer.statusCode < 300 ? "" : answer.body]).toEqual([url, answer.statusCode, ""]);
      return answer.json<Record<string, unknown>>();
    };
    await send("PUT", "/v1/accounts/acct_1", { plan: "free" });
    const { key } = await send("POST", "/v1/accounts/acct_1/keys", { scope: "account" });
    await send("PUT", "/v1/usage/caps/log_events", { period: "day", capValue: 5 }, String(key));
    expect(await send("POST", "/v1/check", { account: "acct_1", usage: { log_events: 6 } })).toMatchObject({ allowed: false });
    expect(await send("POST", "/v1/check", { account: "acct_1", usage: { log_events: 5 } })).toMatchObject({ allowed: true });
    await send("POST", "/v1/services/s/state/namespaces", { name: "Room" }, String(key));
    await send("PUT", "/v1/services/s/state/namespaces/Room/objects/o/values/k", { value: "v" }, String(key));
    await engine.rollUp();
    await engine.upkeep.preparePartitions();
    expect(await send("GET", "/v1/usage", undefined, String(key))).toMatchObject({ usage: { meters: { day: { log_events: 5 } } } });
    expect((await send("GET", "/v1/audit"))["entries"]).not.toEqual([]);
    expect((await engine.checkInvariants()).filter((c) => c.violations.length > 0)).toEqual([]);
  });

  it.each([
    "create table mine (n int)",
    "drop table accounts",
    "alter table accounts add column x text",
    "alter table caps disable row level security",
    "alter table audit_log disable trigger all",
    "insert into audit_heads values ('x', 1, '')",
    "update audit_log set actor = 'nobody'",
    "delete from audit_log",
    "truncate usage_buckets",
    "create role friend",
    "insert into weir_migrations (name, sha256) values ('x', 'y')",
  ])("may not: %s", async (statement) => {
    expect(await trial("weir_api", statement)).toMatch(REFUSED);
  });

  it("finds nothing to migrate, where the migrator was before", async () => {
    expect(await migrate(urlOf("weir_api"))).toEqual({ applied: [] });
    expect(await migrate(urlOf("weir_migrator"))).toEqual({ applied: [] });
    expect(await trial("weir_migrator", "create table later (account text); select weir_build_walls(); drop table later")).toBe("done");
  });
});

describe("the worker's own user of Postgres", () => {
  it("is enough to run every job", async () => {
    const troubles: unknown[] = [];
    const worker = await createEngine({
      databaseUrl: urlOf("weir_worker"),
      redisUrl: stack.redisUrl,
      redisPrefix: stack.keyPrefix,
      clock: new ManualClock("2027-01-03T00:00:00.000Z"),
      redisTimeoutMs: 5_000,
      onTrouble: (error) => troubles.push(error),
    });
    const queueName = stack.keyPrefix.replaceAll(":", "");
    const onTrouble = (error: unknown): void => void troubles.push(error);
    const jobs = await startJobs({ engine: worker, state: null, redisUrl: stack.redisUrl, queueName, onTrouble });
    await engine.limits.putAccount("acct_worked", { plan: "pro" }, engine.clock.now());
    await engine.gate.check({ account: "acct_worked", usage: { log_events: 3 } }, engine.clock.now());
    await jobs.runAll();
    await jobs.close();
    const billed = await worker.db.selectFrom("invoices").select("state").where("account", "=", "acct_worked").execute();
    expect(billed.length).toBeGreaterThan(0);
    await worker.close();
    expect(troubles).toEqual([]);
  });

  it.each(["create table mine (n int)", "alter table audit_log disable trigger all", "delete from audit_log", "create role friend"])(
    "may not: %s",
    async (statement) => {
      expect(await trial("weir_worker", statement)).toMatch(REFUSED);
    },
  );
});

describe("whoever reads only", () => {
  it("reads every account's rows", async () => {
    expect(await trial("weir_readonly", "select account, name from accounts")).toBe("done");
    expect(await trial("weir_readonly", "select id, scope, last_used_at from api_keys")).toBe("done");
  });

  it.each([
    "select secret_hash from api_keys",
    "select * from webhooks",
    "update accounts set name = 'x'",
    "delete from caps",
    "select weir_audit('x', 'y', 'z', '{}')",
  ])("may not: %s", async (statement) => {
    expect(await trial("weir_readonly", statement)).toMatch(REFUSED);
  });
});
