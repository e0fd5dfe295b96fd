import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { buildApp, type App } from "../../../src/http/app.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { migrate } from "../../../src/stores/migrate.ts";
import { TcpProxy } from "../../fault/tcp-proxy.ts";
import { ADMIN_KEY } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { startPostgresPair, type PostgresPair } from "../../support/standby.ts";

const ACCOUNT = "acct_1";
const HISTORY = "/v1/usage/history?meter=state_requests&granularity=month";
/** What only a history asks, in the standby's log. */
const READ = "string_agg(timestamptz_send";

let stack: TestStack;
let pair: PostgresPair;
let way: TcpProxy;
let engine: Engine;
let app: App;
let used = 0;
const clock = new ManualClock(NOON);

beforeAll(async () => {
  stack = await createTestStack();
  pair = await startPostgresPair(stack.dataDir);
  await migrate(pair.primary.url);
  way = await TcpProxy.listen(Number(new URL(pair.standby.url).port));
  const { redisUrl, keyPrefix } = stack;
  const readUrl = Object.assign(new URL(pair.standby.url), { port: String(way.port) }).href;
  const database = { pooledUrl: null, readUrl };
  engine = await createEngine({ databaseUrl: pair.primary.url, database, redisUrl, redisPrefix: keyPrefix, clock, redisTimeoutMs: 5_000 });
  app = await buildApp({ engine, state: null, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
  await engine.limits.putAccount(ACCOUNT, { plan: "pro" }, clock.now());
});
afterAll(async () => {
  await app.close();
  await engine.close();
  await way.close();
  await pair.stop();
  await stack.stop();
});

async function use(quantity: number): Promise<void> {
  await engine.gate.check({ account: ACCOUNT, usage: { state_requests: quantity } }, clock.now());
  used += quantity;
}

/** Answers that were not what was used by then. */
const wrong: unknown[] = [];

/** Asks for the history, and tells who answered. */
async function answerer(): Promise<"standby" | "primary" | "nobody"> {
  const before = pair.standby.answered(READ);
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": ACCOUNT };
  const answer = await app.inject({ method: "GET", url: HISTORY, headers });
  if (answer.statusCode === 503) return "nobody";
  const { series } = answer.json<{ series?: { quantity: number }[] }>();
  if (answer.statusCode !== 200 || series?.[0]?.quantity !== used) wrong.push({ status: answer.statusCode, series, used });
  return pair.standby.answered(READ) > before ? "standby" : "primary";
}

const thrice = async (): Promise<string[]> => [await answerer(), await answerer(), await answerer()];
const PRIMARY = ["primary", "primary", "primary"];

async function onStandby(statement: string): Promise<postgres.RowList<postgres.Row[]>> {
  const sql = postgres(pair.standby.url, { max: 1 });
  try {
    return await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

describe("a streaming standby", () => {
  test("answers histories, with all that was answered before", async () => {
    expect(await onStandby("select pg_is_in_recovery() as follows")).toMatchObject([{ follows: true }]);
    await use(7);
    await expect.poll(answerer).toBe("standby");
  });

  test("answers mostly, though the primary goes on writing: what is on its way is waited for", async () => {
    const who: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      await use(1);
      who.push(await answerer());
    }
    expect(who.filter((name) => name === "standby").length).toBeGreaterThan(10);
  });

  test("that is behind does not, until it has caught up", async () => {
    await onStandby("select pg_wal_replay_pause()");
    await use(5);
    expect(await thrice()).toEqual(PRIMARY);
    await onStandby("select pg_wal_replay_resume()");
    await expect.poll(answerer).toBe("standby");
  });

  test("that falls silent is given half a second, then left alone", async () => {
    way.mode = "stall";
    await use(3);
    expect(await thrice()).toEqual(PRIMARY);
    way.mode = "pass";
    await expect.poll(answerer).toBe("standby");
  });

  test("that is killed is missed by nobody; started again it catches up and answers", async () => {
    await pair.standby.kill();
    await use(2);
    expect(await thrice()).toEqual(PRIMARY);
    await pair.standby.start();
    await expect.poll(answerer).toBe("standby");
  });

  test("does not stand in for a primary that is away: 503 until that is back", async () => {
    pair.primary.kill("SIGKILL");
    expect(await answerer()).toBe("nobody");
    await expect.poll(answerer).not.toBe("nobody");
    await use(1);
    await expect.poll(answerer).toBe("standby");
  });

  test("that was promoted goes ways of its own, and is not asked any more", async () => {
    await onStandby("select pg_promote()");
    expect(await onStandby("select pg_is_in_recovery() as follows")).toMatchObject([{ follows: false }]);
    await use(11);
    expect(await thrice()).toEqual(PRIMARY);
  });

  test("never told anybody less, or more, than was used by then", () => {
    expect(used).toBe(7 + 20 + 5 + 3 + 2 + 1 + 11);
    expect(wrong).toEqual([]);
  });
});
