import { startJobs } from "../../../jobs/worker.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { randomBase62 } from "../../../src/kernel/ids.ts";
import type { State } from "../../../src/state/state.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { get, serve } from "../http/serve.ts";
import { watchLag } from "../lag.ts";
import { allowed, REDIS_BYTES, storing } from "../loading.ts";
import { atMost, figure, versus, type Result } from "../result.ts";
import { interleave, median, p50, p99, type Rounds, type Subject } from "../rounds.ts";
import { steadyLoad } from "../steady-load.ts";
import { openLastingEngine } from "../stores.ts";
import { BIG, bookWhatWaits, loadSystem, use, type System } from "../system.ts";

export const title =
  "A full system, all of whose accounts are loaded and one of them with as many objects, beside an empty one with ten of each, on a Redis and a database of its own: a check of one of ten accounts, plain and with an idempotency key (then it is decided wholly), and of a random object, one caller, in turns. And, told only, a check of any account: the full system decides it wholly and makes keys in Redis, where the empty one was asked for the same account lately and has them. What Redis keeps once all is booked. GET /v1/usage of a random account and of the one with the objects, one caller. The lag of the roll-up, and the accounts that wait for it in the second half of the time beside the first, with all jobs running and 1,000 checks a second of random accounts.";
export const needsSecond = true;

/** Of accounts, and of objects of one account. */
const EMPTY = 10;
/** What the empty system does less work for than the full one: told, not held to. */
const TOLD: readonly string[] = ["any_account", "any_account_with_key"];
/** Checks take a hundredth of what a report takes: half the time is plenty. */
const CHECKS_SHARE = 2;
const FLAT = 1.2;
const USAGE_MS = 20;
const LAG_MS = 2_000;
const CHECKS_A_SECOND = 1_000;
/** Of accounts that wait: what grows steadily is three times as much in the second half of the time. */
const GROWING = 1.5;

export async function run(bench: Bench): Promise<Result[]> {
  const { second, profile } = bench;
  if (!second) throw new Error("The empty system needs stores of its own.");
  const empty = await loadSystem(bench, await openLastingEngine(bench, second), second, { accounts: EMPTY, objects: EMPTY });
  const full = await loadSystem(bench, await openLastingEngine(bench), bench, profile.size);
  const { port, state } = await serve(bench, full.engine);
  const shortly = profile.stretchMs / CHECKS_SHARE;
  const plain = await inTurns(profile.rounds, shortly, [...checking("empty", empty), ...checking("full", full)]);
  // By themselves: a check that is decided wholly ends the shorter way for the next.
  const keyed = await inTurns(profile.rounds, shortly, [...keyedChecks("empty", empty), ...keyedChecks("full", full)]);
  const checks = new Map([...plain, ...keyed]);
  const usage = await inTurns(profile.rounds, profile.stretchMs, [
    ["account", () => get(port, "/v1/usage", full.account())],
    ["objects", () => get(port, "/v1/usage", BIG)],
  ]);
  const beside = (what: string): Result[] => [
    versus(`size.check.${what}.p50`, "ms", checks, [`full ${what}`, `empty ${what}`], p50, TOLD.includes(what) ? null : atMost(FLAT)),
    versus(`size.check.${what}.p99`, "ms", checks, [`full ${what}`, `empty ${what}`], p99),
  ];
  const answered = (name: string): Result[] => {
    const samples = usage.get(name) ?? [];
    return [
      figure(`size.usage.${name}.p50`, "ms", { value: median(samples.map(p50)) }),
      figure(`size.usage.${name}.p99`, "ms", { value: median(samples.map(p99)) }, atMost(USAGE_MS, "value")),
    ];
  };
  const { accountBytes, objectBytes, accountsPerSecond, objectsPerSecond } = full.loaded;
  return [
    ...["busy_account", "busy_account_with_key", "object", ...TOLD].flatMap(beside),
    figure("size.redis_bytes_per_account", "bytes", { value: accountBytes }, atMost(REDIS_BYTES.account, "value")),
    figure("size.redis_bytes_per_object", "bytes", { value: objectBytes }, atMost(REDIS_BYTES.object, "value")),
    figure(`size.load_${profile.size.accounts}_accounts`, "accounts/s", { value: accountsPerSecond }),
    figure(`size.load_${profile.size.objects}_objects`, "objects/s", { value: objectsPerSecond }),
    ...["account", "objects"].flatMap(answered),
    ...(await keptUp(bench, full, state)),
  ];
}

type Call = readonly [name: string, call: () => Promise<unknown>];

function inTurns(rounds: number, stretchMs: number, calls: readonly Call[]): Promise<Rounds> {
  const subjects = calls.map(([name, call]): Subject => ({ name, run: () => closedLoop(1, stretchMs, call) }));
  return interleave(subjects, rounds);
}

const checking = (name: string, { engine, account, busy, object }: System): Call[] => [
  [`${name} busy_account`, () => allowed(engine, use(busy()))],
  [`${name} any_account`, () => allowed(engine, use(account()))],
  // Each time another size: what does not change need not be booked.
  [`${name} object`, () => allowed(engine, storing(BIG, object(), 1_000 + (systemClock.now() % 7)))],
];

const keyedChecks = (name: string, { engine, account, busy }: System): Call[] => [
  [`${name} busy_account_with_key`, () => allowed(engine, { ...use(busy()), idempotencyKey: randomBase62(12) })],
  [`${name} any_account_with_key`, () => allowed(engine, { ...use(account()), idempotencyKey: randomBase62(12) })],
];

/** All jobs as `npm start` runs them, and a steady load meanwhile. */
async function keptUp(bench: Bench, { engine, account }: System, state: State): Promise<Result[]> {
  // What the measurements before left, without jobs, is no lag of theirs.
  await bookWhatWaits(engine);
  const onTrouble = (error: unknown): void => bench.say(String(error));
  const jobs = await startJobs({ engine, state, redisUrl: bench.redisUrl, queueName: "jobs", onTrouble });
  bench.closers.push(() => jobs.close());
  const load = (ms: number): Promise<number> => steadyLoad(CHECKS_A_SECOND, ms, () => allowed(engine, use(account())));
  // Jobs that are rung once an hour or a day run at once too: the roll-up is measured beside them, not the start.
  await load(bench.profile.stretchMs * 2);
  const running = load(bench.profile.size.steadyMs);
  const { p99Ms, waiting } = await watchLag(engine, running);
  const { before, after } = waiting;
  return [
    figure("size.roll_up.checks", "checks/s", { value: await running }),
    figure("size.roll_up.lag_under_steady_load.p99", "ms", { value: p99Ms }, atMost(LAG_MS, "value")),
    figure("size.roll_up.waiting_accounts", "accounts", { value: after, baseline: before, ratio: after / before }, atMost(GROWING)),
  ];
}
