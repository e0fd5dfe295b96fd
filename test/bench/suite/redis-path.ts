import { RateLimiterRedis } from "rate-limiter-flexible";
import type { Redis } from "ioredis";
import type { CheckRequest } from "../../../src/gate/check-request.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import type { Engine } from "../../../src/engine.ts";
import { accountNames, makeAccounts, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { atLeast, atMost, versus, type Result } from "../result.ts";
import { interleave, p50, p99, rate, type Subject } from "../rounds.ts";
import { openClient, openEngine } from "../stores.ts";

export const title =
  "A check of four limited meters through the gate, in process, over 1,000 accounts: beside the least script that checks and counts four counters (raw EVALSHA), and beside rate-limiter-flexible's Redis limiter asked four times.";

const ACCOUNTS = 1_000;
const CONCURRENCIES = [1, 64, 512];
const METERS = Object.keys(USAGE);

/** Test four counters against four limits, count if all have room: what somebody who needs no more would write. */
const MINIMAL = `
local used = redis.call('HMGET', KEYS[1], 'a', 'b', 'c', 'd')
for i = 1, 4 do
  if tonumber(used[i] or '0') + tonumber(ARGV[i]) > tonumber(ARGV[4 + i]) then return { 0, used[1], used[2], used[3], used[4] } end
end
return { 1, redis.call('HINCRBY', KEYS[1], 'a', ARGV[1]), redis.call('HINCRBY', KEYS[1], 'b', ARGV[2]),
  redis.call('HINCRBY', KEYS[1], 'c', ARGV[3]), redis.call('HINCRBY', KEYS[1], 'd', ARGV[4]) }`;
const LIMIT = 1_000_000_000;

type Call = (n: number) => Promise<unknown>;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const names = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, names, systemClock.now());
  const calls: readonly (readonly [string, Call])[] = [
    ["weir", await gateCalls(engine, names)],
    ["raw", await rawCalls(openClient(bench), names)],
    ["peer", peerCalls(openClient(bench), names)],
  ];
  const { rounds, stretchMs } = bench.profile;
  const results: Result[] = [];
  for (const callers of CONCURRENCIES) {
    const subjects = calls.map(([name, call]): Subject => ({ name, run: () => closedLoop(callers, stretchMs, call) }));
    const measured = await interleave(subjects, rounds);
    const at = `redis_path.concurrency_${callers}`;
    results.push(
      versus(`${at}.against_raw_script`, "checks/s", measured, ["weir", "raw"], rate, atLeast(0.8)),
      versus(`${at}.p99_against_raw_script`, "ms", measured, ["weir", "raw"], p99, atMost(2)),
      versus(`${at}.p50_against_raw_script`, "ms", measured, ["weir", "raw"], p50),
      versus(`${at}.against_rate_limiter_flexible`, "checks/s", measured, ["weir", "peer"], rate, atLeast(3)),
    );
  }
  return results;
}

async function gateCalls(engine: Engine, names: readonly string[]): Promise<Call> {
  const requests = names.map((account): CheckRequest => ({ account, service: "api", namespace: "Room", object: "room-1", usage: USAGE }));
  const check = async (request: CheckRequest): Promise<void> => {
    const decision = await engine.gate.check(request, systemClock.now());
    if (!decision.allowed) throw new Error(`denied: ${decision.denials.map((d) => d.message).join(" ")}`);
  };
  // What a first touch costs is not what is measured here.
  for (let i = 0; i < requests.length; i += 50) await Promise.all(requests.slice(i, i + 50).map(check));
  return (n) => check(requests[n % ACCOUNTS]!);
}

async function rawCalls(client: Redis, names: readonly string[]): Promise<Call> {
  const sha = String(await client.script("LOAD", MINIMAL));
  const keys = names.map((name) => `raw:${name}`);
  return (n) => client.evalsha(sha, 1, keys[n % ACCOUNTS]!, 1, 1, 1, 1, LIMIT, LIMIT, LIMIT, LIMIT);
}

/** One limiter a limit, as its documentation has it; the four calls go out together. */
function peerCalls(client: Redis, names: readonly string[]): Call {
  const limiters = METERS.map((meter) => new RateLimiterRedis({ storeClient: client, keyPrefix: meter, points: LIMIT, duration: 86_400 }));
  return (n) => Promise.all(limiters.map((limiter) => limiter.consume(names[n % ACCOUNTS]!, 1)));
}
