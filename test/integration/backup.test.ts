import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { buildApp, type App } from "../../src/http/app.ts";
import { ManualClock } from "../../src/kernel/clock.ts";
import { iso } from "../../src/kernel/window.ts";
import { ADMIN_KEY } from "../support/app.ts";
import { backupWay, type BackupPlace } from "../support/backup.ts";
import { createTestStack, type TestStack } from "../support/stack.ts";

/** Billed; at its limit; and one that only begins. */
const [PRO, FREE, NEW] = ["acct_pro", "acct_free", "acct_new"];
const KEYED = { account: PRO, usage: { state_requests: 7 }, idempotencyKey: "once" };
const FREE_REQUESTS = 100_000;
/** What accounts and their operator see. Budget that a lost Redis was lent is shown as such, so `meters` is told apart below. */
const SEEN = [
  "/v1/invoices",
  "/v1/invoices/upcoming",
  "/v1/usage/history?meter=state_requests&granularity=day&from=2026-10-20T00:00:00Z&to=2026-11-22T00:00:00Z",
  "/v1/usage/history?meter=state_sqlite_storage_bytes&granularity=day&from=2026-10-20T00:00:00Z&to=2026-11-22T00:00:00Z",
  "/v1/usage/objects",
  "/v1/notifications",
  "/v1/usage/caps",
];

const way = await backupWay();
const clock = new ManualClock("2026-10-20T09:00:00.000Z");
let stack: TestStack;
let place: BackupPlace;
let restored: Weir;
let before: Map<string, unknown>;
let answered: unknown;

interface Weir {
  engine: Engine;
  app: App;
}

beforeAll(async () => {
  stack = await createTestStack();
  place = await way.open(stack);
  const weir = await open(place.databaseUrl);
  await useForTwoMonths(weir.engine);
  before = await everythingSeen(weir);
  await place.backUp();
  await close(weir);
  await stack.loseRedis();
  restored = await open(await place.restore());
  // The dump knows the process that is gone as one that lives: for three seconds its copies are waited for.
  await vi.waitFor(() => restored.engine.usage(PRO), { timeout: 30_000, interval: 200 });
});
afterAll(async () => {
  await close(restored);
  await place.stop();
  await stack.stop();
});

async function open(databaseUrl: string): Promise<Weir> {
  const { redisUrl, keyPrefix } = stack;
  const engine = await createEngine({ databaseUrl, redisUrl, redisPrefix: keyPrefix, clock, redisTimeoutMs: 5_000 });
  const app = await buildApp({ engine, state: null, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} });
  return { engine, app };
}

async function close({ engine, app }: Weir): Promise<void> {
  await app.close();
  await engine.close();
}

async function useForTwoMonths(engine: Engine): Promise<void> {
  const check = (request: object) => engine.gate.check(request as Parameters<typeof engine.gate.check>[0], clock.now());
  await engine.limits.putAccount(PRO, { plan: "pro", email: "ops@example.com" }, clock.now());
  await engine.limits.putAccount(FREE, { plan: "free" }, clock.now());
  await check({
    account: PRO,
    service: "s",
    namespace: "Room",
    object: "o1",
    usage: { state_requests: 5_000 },
    storageBytes: { set: 2_000_000 },
  });
  await engine.rollUp();
  for (const time of ["2026-11-01T01:00:00.000Z", "2026-11-02T12:00:00.000Z"]) {
    clock.set(time);
    await engine.invoices.run(clock.now());
  }
  clock.set("2026-11-21T10:00:00.000Z");
  await engine.limits.putAccount(NEW, { plan: "pro" }, clock.now());
  const correction = { meter: "state_requests", quantity: -3, at: iso(clock.now()), reason: "counted twice", idempotencyKey: "c" };
  await engine.correct(PRO, correction, "key_operator");
  await engine.limits.setCap(PRO, "log_events", { period: "day", capValue: 10, hardStop: true, notifyAtPercent: 80 }, clock.now());
  await check({ account: PRO, usage: { log_events: 9 } });
  answered = await check(KEYED);
  await check({ account: FREE, usage: { state_requests: FREE_REQUESTS } });
  // Of what nobody has booked yet the backup cannot know.
  await engine.rollUp();
}

async function everythingSeen({ app }: Weir): Promise<Map<string, unknown>> {
  const seen = new Map<string, unknown>();
  for (const account of [PRO, FREE, NEW]) {
    const get = async (url: string): Promise<Record<string, unknown>> => {
      const answer = await app.inject({ url, headers: { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account } });
      expect(answer.statusCode).toBe(200);
      return answer.json();
    };
    for (const url of SEEN) seen.set(`${account} ${url}`, await get(url));
    const { usage, meters, billingEstimate } = await get("/v1/usage");
    const used = (meters as { meter: string; used: number }[]).map((meter) => [meter.meter, meter.used]);
    seen.set(`${account} /v1/usage`, { usage, used, billingEstimate });
  }
  return seen;
}

describe(`restored from a backup into a new database, with an empty Redis (${way.title}),`, () => {
  test("there was something to lose", () => {
    expect(before.get(`${PRO} /v1/invoices`)).toMatchObject({ invoices: [{ state: "finalized" }] });
    expect(JSON.stringify(before.get(`${PRO} /v1/usage`))).toContain('["state_requests",4]');
  });

  test("everybody sees the same usage and the same invoices", async () => {
    expect(await everythingSeen(restored)).toEqual(before);
  });

  test("every invariant holds", async () => {
    const broken = (await restored.engine.checkInvariants()).filter(({ violations, finished }) => violations.length > 0 || !finished);
    expect(broken).toEqual([]);
  });

  test("a limit that was used up still is, and a key gets its first answer and counts nothing", async () => {
    const { gate } = restored.engine;
    expect(await gate.check({ account: FREE, usage: { state_requests: 1 } }, clock.now())).toMatchObject({ allowed: false });
    expect(await gate.check(KEYED, clock.now())).toMatchObject({ decisionId: (answered as { decisionId: string }).decisionId });
    const { meters } = await restored.engine.usage(PRO);
    expect(meters).toContainEqual(expect.objectContaining({ meter: "state_requests", used: 4 }));
  });

  test("life goes on: a check counts on top, and the next month is billed", async () => {
    const { engine } = restored;
    expect(await engine.gate.check({ account: PRO, usage: { state_requests: 6 } }, clock.now())).toMatchObject({
      allowed: true,
      meters: { state_requests: { used: 10 } },
    });
    clock.set("2026-12-02T12:00:00.000Z");
    await engine.invoices.run(clock.now());
    const invoices = await engine.invoices.list(PRO, null, 10);
    expect(invoices.map(({ number }) => number)).toEqual([expect.any(Number), expect.any(Number)]);
  });
});
