import { afterAll, beforeAll, expect, it } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { startRedis } from "../../../src/servers/redis.ts";
import { NOON } from "../../support/engine.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

/** A meter whose loss of control the operator accepts, beside one he does not. */
const OPEN_METER = "log_events";
const CLOSED_METER = "state_requests";

let stack: TestStack;
let redis: Awaited<ReturnType<typeof startRedis>>;
let engine: Engine;
const clock = new ManualClock(NOON);
const account = "acct_outage";

beforeAll(async () => {
  stack = await createTestStack();
  redis = await startRedis({ dataDir: stack.dataDir, appendOnly: false });
  engine = await createEngine({
    databaseUrl: stack.databaseUrl,
    redisUrl: redis.url,
    redisPrefix: stack.keyPrefix,
    clock,
    redisTimeoutMs: 2_000,
  });
  const meter = engine.catalog.meters.find((m) => m.name === OPEN_METER);
  await engine.applyCatalog({ meters: [{ ...meter, failurePolicy: "allow" }] });
  await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
  await check({ [CLOSED_METER]: 1, [OPEN_METER]: 1 });
});
afterAll(async () => {
  await engine.close();
  await redis.stop();
  await stack.stop();
});

const check = (usage: Record<string, number>, more = {}) => engine.gate.check({ account, usage, ...more }, clock.now());

it("a Redis that hangs is unavailable: never an allow, never a hang", async () => {
  redis.kill("SIGSTOP");
  const answers = await Promise.allSettled(Array.from({ length: 600 }, (_, i) => check({ [i % 2 === 0 ? CLOSED_METER : OPEN_METER]: 1 })));
  redis.kill("SIGCONT");
  expect(new Set(answers.map((a) => (a.status === "rejected" ? (a.reason as { code: string }).code : "allowed")))).toEqual(
    new Set(["unavailable"]),
  );
});

it("a Redis that is away refuses, but for meters whose policy allows; those are counted all the same", async () => {
  await redis.stop();
  expect(await engine.readiness()).toMatchObject({
    ready: false,
    postgres: { pendingMigrations: [] },
    redis: { away: expect.stringContaining("Redis") as string },
  });
  await expect(check({ [CLOSED_METER]: 1 })).rejects.toMatchObject({ code: "unavailable" });
  await expect(check({ [CLOSED_METER]: 1, [OPEN_METER]: 1 })).rejects.toMatchObject({ code: "unavailable" });
  await expect(check({ [OPEN_METER]: 1 }, { idempotencyKey: "k" })).rejects.toMatchObject({ code: "unavailable" });
  expect(await check({ [OPEN_METER]: 5 })).toMatchObject({ allowed: true, degraded: true });
  await expect(engine.gate.check({ account: "acct_nobody", usage: { [OPEN_METER]: 1 } }, clock.now())).rejects.toMatchObject({
    code: "not_found",
  });
  const [row] = await engine.db
    .selectFrom("usage_buckets")
    .select("quantity")
    .where("account", "=", account)
    .where("source", "=", "events")
    .execute();
  expect(row?.quantity).toBe(5n);
});
