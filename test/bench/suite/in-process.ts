import { RateLimiter } from "limiter";
import { RateLimiterMemory, RateLimiterRedis } from "rate-limiter-flexible";
import { ALLOWED, createMeter, type Meter } from "../../../src/client/index.ts";
import { monotonicMs } from "../../../src/kernel/clock.ts";
import { accountNames, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { atLeast, atMost, figure, versus, type Result } from "../result.ts";
import { interleave, median, rate, type Rounds, type Sample, type Subject } from "../rounds.ts";
import { openClient } from "../stores.ts";

export const title =
  "A check of four meters in memory, out of a lease (weir/client; leases granted by a stand-in that grants whatever is asked for, so that nothing but the check is measured): beside four get-compare-sets of a bare Map, and beside four limiters of rate-limiter-flexible and of limiter.";

const METERS = Object.keys(USAGE);
const LIMIT = Number.MAX_SAFE_INTEGER;
/** Checks between two looks at the clock. */
const CHUNK = 10_000;
const REDIS_CALLERS = 64;
const HOUR_MS = 3_600_000;

export async function run(bench: Bench): Promise<Result[]> {
  const { rounds, stretchMs, accounts } = bench.profile;
  const meter = createMeter({ url: "http://stand-in", key: "none", fetch: generous, leaseAfter: 0, heartbeatMs: HOUR_MS });
  bench.closers.push(async () => void (await meter.close()));
  const names = accountNames(accounts);
  await warm(meter, names);
  const vector = meter.vector(USAGE);
  const handle = meter.account(names[0] ?? "", PLACE);
  const loop = (name: string, step: (n: number) => void): Subject => ({ name, run: () => stepped(stretchMs, step) });
  const subjects: Subject[] = [
    loop("handle", () => {
      if (handle.check(vector) !== ALLOWED) throw new Error("the lease is used up");
    }),
    ...[1, 1_000, accounts].map((count) => loop(`by_id_${count}`, byId(meter, names.slice(0, count)))),
    ...[1, 1_000, accounts].map((count) => loop(`map_${count}`, bareMaps(names.slice(0, count)))),
    loop("limiter", tokenBuckets()),
    {
      name: "peer_memory",
      run: () =>
        closedLoop(
          1,
          stretchMs,
          peer((keyPrefix) => new RateLimiterMemory({ keyPrefix, points: LIMIT, duration: 86_400 })),
        ),
    },
    { name: "peer_redis", run: () => closedLoop(REDIS_CALLERS, stretchMs, peer(redisLimiter(bench))) },
  ];
  return results(await interleave(subjects, rounds), accounts);
}

const PLACE = { service: "api", namespace: "Room" };

function results(measured: Rounds, accounts: number): Result[] {
  const ns = (name: string): number => 1e9 / median((measured.get(name) ?? []).map(rate));
  const against = (name: string, subject: string, baseline: string, target: Parameters<typeof versus>[5]) =>
    versus(`in_process.${name}`, "checks/s", measured, [subject, baseline], rate, target);
  return [
    figure("in_process.handle", "ns", { value: ns("handle") }, atMost(30, "value")),
    figure("in_process.by_id", "ns", { value: ns("by_id_1") }, atMost(100, "value")),
    figure("in_process.by_id.1000_accounts", "ns", { value: ns("by_id_1000") }),
    figure(`in_process.by_id.${accounts}_accounts`, "ns", { value: ns(`by_id_${accounts}`) }, atMost(300, "value")),
    against("by_id.against_bare_map", "by_id_1", "map_1", null),
    against("by_id.1000_accounts.against_bare_map", "by_id_1000", "map_1000", null),
    against(`by_id.${accounts}_accounts.against_bare_map`, `by_id_${accounts}`, `map_${accounts}`, atLeast(1 / 3)),
    against("handle.against_rate_limiter_flexible_redis", "handle", "peer_redis", atLeast(1_000)),
    against("by_id.against_rate_limiter_flexible_redis", "by_id_1", "peer_redis", atLeast(300)),
    against("handle.against_rate_limiter_flexible_memory", "handle", "peer_memory", null),
    against("handle.against_limiter", "handle", "limiter", null),
  ];
}

/** Answers every request for a lease with all that is asked for, many times over. */
const generous: typeof fetch = (_url, init) => {
  const body = JSON.parse(String(init?.body)) as { account?: string; meters?: Record<string, number> };
  const granted = Object.fromEntries(METERS.map((meter) => [meter, 2 ** 50]));
  const answer = {
    leaseId: `lse_${body.account ?? "again"}`,
    granted,
    used: {},
    expiresInMs: 24 * HOUR_MS,
    remaining: {},
    ended: false,
    recall: false,
    exceeded: false,
    closed: false,
  };
  return Promise.resolve(new Response(JSON.stringify(answer), { status: 200, headers: { "content-type": "application/json" } }));
};

async function warm(meter: Meter, names: readonly string[]): Promise<void> {
  const vector = meter.vector(USAGE);
  for (let i = 0; i < names.length; i += 500) {
    await Promise.all(names.slice(i, i + 500).map((name) => meter.account(name, PLACE).warm(vector)));
  }
}

function byId(meter: Meter, names: readonly string[]): (n: number) => void {
  const requests = names.map((account) => ({ account, ...PLACE, usage: USAGE }));
  return (n) => {
    const request = requests[n % requests.length];
    if (request && meter.check(request) !== ALLOWED) throw new Error("the lease is used up");
  };
}

function bareMaps(names: readonly string[]): (n: number) => void {
  const maps = METERS.map(() => new Map(names.map((name) => [name, 2 ** 50])));
  return (n) => {
    const name = names[n % names.length] ?? "";
    for (const map of maps) {
      const left = map.get(name) ?? 0;
      if (left < 1) throw new Error("used up");
      map.set(name, left - 1);
    }
  };
}

function tokenBuckets(): () => void {
  const buckets = METERS.map(() => new RateLimiter({ tokensPerInterval: 1e12, interval: "day" }));
  return () => {
    for (const bucket of buckets) if (!bucket.tryRemoveTokens(1)) throw new Error("used up");
  };
}

interface Limiter {
  consume(key: string, points: number): Promise<unknown>;
}

function peer(make: (keyPrefix: string) => Limiter): (n: number) => Promise<unknown> {
  const limiters = METERS.map(make);
  return () => Promise.all(limiters.map((limiter) => limiter.consume("acct_1", 1)));
}

function redisLimiter(bench: Bench): (keyPrefix: string) => Limiter {
  const storeClient = openClient(bench);
  return (keyPrefix) => new RateLimiterRedis({ storeClient, keyPrefix, points: 1_000_000_000, duration: 86_400 });
}

/** As many steps as fit into `ms`; timers run when it is over. */
async function stepped(ms: number, step: (n: number) => void): Promise<Sample> {
  const from = monotonicMs();
  const until = from + ms;
  let n = 0;
  while (monotonicMs() < until) for (let i = 0; i < CHUNK; i++) step(n++);
  const seconds = (monotonicMs() - from) / 1_000;
  await new Promise((resolve) => setImmediate(resolve));
  return { rate: n / seconds, p50Ms: 0, p99Ms: 0 };
}
