import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { buildApp, type App } from "../../../src/http/app.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { TcpProxy } from "../../fault/tcp-proxy.ts";
import { ADMIN_KEY } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const [OWN, OTHER] = ["acct_own", "acct_other"];
const USED = 7;
/** What the replica says that was used, so that it is seen who answered. */
const TOLD = 123_457;
const HISTORY = "/v1/usage/history?meter=state_requests&granularity=month";

let stack: TestStack;
let proxy: TcpProxy;
let engine: Engine;
let app: App;
let key: string;
const clock = new ManualClock(NOON);

beforeAll(async () => {
  stack = await createTestStack();
  const first = await open(null);
  for (const account of [OWN, OTHER]) {
    await first.limits.putAccount(account, { plan: "pro" }, clock.now());
    const storage = { service: "s", namespace: "Room", object: "o1", storageBytes: { set: 10 } };
    await first.gate.check({ account, usage: { state_requests: USED }, ...storage }, clock.now());
  }
  await first.close();

  const { hostname, port } = new URL(stack.databaseUrl);
  expect(hostname).toBe("127.0.0.1");
  proxy = await TcpProxy.listen(Number(port));
  engine = await open(Object.assign(new URL(await copyThatTellsOtherwise()), { port: String(proxy.port) }).href);
  app = await buildApp({ engine, state: null, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
  key = String((await ask(`/v1/accounts/${OWN}/keys`, ADMIN_KEY, { scope: "read_only" }))["key"]);
});
afterAll(async () => {
  await app.close();
  await engine.close();
  await proxy.close();
  await withSql("/postgres", (sql) => sql.unsafe(`drop database ${nameOf(stack)}_copy with (force)`));
  await stack.stop();
});

const nameOf = ({ databaseUrl }: TestStack): string => new URL(databaseUrl).pathname.slice(1);

function open(readUrl: string | null): Promise<Engine> {
  const { databaseUrl, redisUrl, keyPrefix } = stack;
  const database = { pooledUrl: null, readUrl };
  return createEngine({ databaseUrl, database, redisUrl, redisPrefix: keyPrefix, clock, redisTimeoutMs: 5_000 });
}

async function withSql(pathname: string, use: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(Object.assign(new URL(stack.databaseUrl), { pathname }).href, { max: 1 });
  try {
    await use(sql);
  } finally {
    await sql.end();
  }
}

async function copyThatTellsOtherwise(): Promise<string> {
  const copy = `${nameOf(stack)}_copy`;
  await withSql("/postgres", (sql) => sql.unsafe(`create database ${copy} template ${nameOf(stack)}`));
  await withSql(`/${copy}`, (sql) => sql`update usage_buckets set quantity = ${TOLD} where meter = 'state_requests'`);
  await withSql(`/${copy}`, (sql) => sql`update object_levels set bytes = ${TOLD}`);
  return Object.assign(new URL(stack.databaseUrl), { pathname: `/${copy}` }).href;
}

async function ask(url: string, as: string, payload: object | null = null): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${as}`, ...(as === ADMIN_KEY ? { "weir-account": OWN } : {}) };
  const answer = await app.inject({ method: payload === null ? "GET" : "POST", url, headers, ...(payload === null ? {} : { payload }) });
  if (answer.statusCode >= 300) throw new Error(`${url}: ${answer.statusCode} ${answer.body}`);
  return answer.json();
}

const seen = async (as: string): Promise<unknown[]> => {
  const { series } = await ask(HISTORY, as);
  const { objects } = await ask("/v1/usage/objects", as);
  return [
    (series as { quantity: number }[]).map(({ quantity }) => quantity),
    (objects as { storageBytes: number }[]).map(({ storageBytes }) => storageBytes),
  ];
};

describe("where there is a replica", () => {
  test("histories and objects are read there, by operators and by tenants, each their own", async () => {
    expect(await seen(ADMIN_KEY)).toEqual([[TOLD], [TOLD]]);
    expect(await seen(key)).toEqual([[TOLD], [TOLD]]);
  });

  test("what decides and what bills is not", async () => {
    const { meters } = await engine.usage(OWN);
    expect(meters).toContainEqual(expect.objectContaining({ meter: "state_requests", used: USED }));
    expect(JSON.stringify(await engine.invoices.upcoming(OWN, clock.now()))).not.toContain(String(TOLD));
  });

  test("they are read from the primary while it is away, and nobody hears of it", async () => {
    proxy.pointAt(1);
    proxy.cut();
    expect(await seen(ADMIN_KEY)).toEqual([[USED], [10]]);
    expect(await seen(key)).toEqual([[USED], [10]]);
  });
});
