import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCounters, type Counters } from "../../../src/counters/counters.ts";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { dayWindow, HOUR_MS, iso, type Period } from "../../../src/kernel/window.ts";
import { openRedisServers, type RedisServers } from "../../../src/stores/redis-servers.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const METERS = ["state_requests", "log_events"] as const;
const seed = Number(process.env["WEIR_SEED"] ?? Date.now() % 1_000_000);

let stack: TestStack;
let engines: Engine[];
let redis: RedisServers;
let counters: Counters;
const clock = new ManualClock("2026-11-29T22:30:00.000Z");

beforeAll(async () => {
  stack = await createTestStack();
  const options = {
    databaseUrl: stack.databaseUrl,
    redisUrl: stack.redisServer,
    redisPrefix: stack.keyPrefix,
    clock,
    redisTimeoutMs: 5_000,
  };
  engines = await Promise.all([createEngine(options), createEngine(options)]);
  redis = openRedisServers(stack.redisServer);
  counters = createCounters(redis, stack.keyPrefix);
});
afterAll(async () => {
  for (const engine of engines) await engine.close();
  await redis.close();
  await stack.stop();
});

/** Numbers below `n`, the same for the same seed. */
function dice(from: number): (n: number) => number {
  let state = from;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** What stands in Redis, without telling it anything. */
async function standing(account: string) {
  const snapshot = await counters.read(
    account,
    METERS.map((name) => ({ name, kind: "counter" })),
  );
  const used = (period: Period) => METERS.map((meter) => snapshot?.meters.get(meter)?.[period].used);
  return { day: used("day"), month: used("month") };
}

describe("what is counted past Redis", () => {
  it(`stands in its sums, whoever counts it, whenever it happened, and beside checks and corrections (seed ${seed})`, async () => {
    const next = dice(seed);
    const account = "acct_sums";
    const [first] = engines;
    if (!first) throw new Error("no engine");
    await first.limits.putAccount(account, { plan: "pro" }, clock.now());
    const counted: { at: number; meter: string; quantity: number }[] = [];
    let ids = 0;
    const step = async (engine: Engine): Promise<void> => {
      const [meter, quantity, now] = [METERS[next(2)] ?? METERS[0], 1 + next(50), clock.now()];
      const kind = next(8);
      if (kind === 0) {
        await engine.gate.check({ account, usage: { [meter]: quantity } }, now);
        counted.push({ at: now, meter, quantity });
      } else if (kind === 1) {
        const at = now - next(3) * HOUR_MS;
        await engine.correct(account, { meter, quantity, at: iso(at), reason: "test", idempotencyKey: `c${++ids}` }, "key");
        counted.push({ at, meter, quantity });
      } else {
        const times = Array.from({ length: 1 + next(4) }, () => now - next(24) * HOUR_MS);
        const batch = times.map((at) => ({
          specversion: "1.0",
          type: "weir.usage",
          source: "/sums",
          id: `e${++ids}`,
          subject: account,
          time: iso(at),
          data: { usage: { [meter]: quantity } },
        }));
        // Whether each counts once shows in the sums.
        await engine.recordEvents([...batch, ...batch], { account: null });
        counted.push(...times.map((at) => ({ at, meter, quantity })));
      }
    };
    // Over a day's and a month's turn: from 22:30 on November 29 to past the first of December.
    for (let round = 0; round < 30; round++) {
      await Promise.all(Array.from({ length: 1 + next(4) }, (_, i) => step(engines[i % 2] ?? first)));
      if (next(3) === 0) clock.advance(next(6) * HOUR_MS);
      await first.gate.check({ account, usage: { state_requests: 0, log_events: 0 } }, clock.now());
      const [day, month] = [dayWindow(clock.now()), iso(clock.now()).slice(0, 7)];
      const sums = (isIn: (at: number) => boolean) =>
        METERS.map((meter) => counted.reduce((sum, c) => sum + (c.meter === meter && isIn(c.at) ? c.quantity : 0), 0));
      expect(await standing(account), `round ${round}`).toEqual({
        day: sums((at) => at >= day.start && at < day.end),
        month: sums((at) => iso(at).startsWith(month)),
      });
    }
  });

  it("is added to the sums without a look at Postgres, and what came first but is told last is read there", async () => {
    const [first, second] = engines;
    if (!first || !second) throw new Error("no engine");
    const account = "acct_order";
    await first.limits.putAccount(account, { plan: "pro" }, clock.now());
    await first.gate.check({ account, usage: { state_requests: 1 } }, clock.now());
    const line = { bucket: Math.floor(clock.now() / HOUR_MS) * HOUR_MS, meter: "state_requests", quantity: 5 };
    const seq = await foreignSeq(account);
    const tell = (more: number) => counters.foreign.add([{ account, foreignSeq: seq + more, lines: [line] }]);
    expect(await tell(2)).toEqual(["behind"]);
    expect((await standing(account)).month).toEqual([1, 0]);
    expect(await tell(1)).toEqual(["told"]);
    expect(await tell(1)).toEqual(["told"]);
    expect((await standing(account)).month).toEqual([6, 0]);
    expect(await tell(2)).toEqual(["told"]);
    expect((await standing(account)).month).toEqual([11, 0]);
    const asked = await counters.foreign.add([
      { account, foreignSeq: seq + 2, lines: [] },
      { account, foreignSeq: seq + 3, lines: [] },
      { account: "acct_nobody", foreignSeq: 1, lines: [line] },
    ]);
    expect(asked).toEqual(["told", "behind", "absent"]);
  });
});

async function foreignSeq(account: string): Promise<number> {
  return (await counters.read(account, []))?.header.foreignSeq ?? -1;
}
