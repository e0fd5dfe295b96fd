import { monotonicMs, systemClock } from "../../../src/kernel/clock.ts";
import { randomBase62 } from "../../../src/kernel/ids.ts";
import type { Engine } from "../../../src/engine.ts";
import { accountNames, makeAccounts } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { Latencies } from "../latencies.ts";
import { atMost, versus, type Result } from "../result.ts";
import { interleave, p50, p99, type Sample } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "From the answered change of a cap to the first allowed check on another engine (stores shared, memory not): how long that check takes, beside a check that nothing was changed before. It is never asked twice: a first check that is denied fails the benchmark.";

const METER = "state_requests";
const ACCOUNTS = 20;

export async function run(bench: Bench): Promise<Result[]> {
  const [changing, checking] = [await openEngine(bench), await openEngine(bench)];
  const names = accountNames(ACCOUNTS);
  await makeAccounts(changing.db, names, systemClock.now());
  const { rounds, stretchMs } = bench.profile;
  let n = 0;
  const next = (): string => names[n++ % ACCOUNTS] ?? "";
  const measured = await interleave(
    [
      { name: "raised", run: () => timed(stretchMs, async () => raise(changing, checking, next())) },
      { name: "unchanged", run: () => timed(stretchMs, async () => checkOnce(checking, next(), true)) },
    ],
    rounds,
  );
  return [
    versus("unblocking.first_check_after_a_raised_cap.p50", "ms", measured, ["raised", "unchanged"], p50, atMost(2)),
    versus("unblocking.first_check_after_a_raised_cap.p99", "ms", measured, ["raised", "unchanged"], p99),
  ];
}

/** Stops an account, lets it go on, and answers how long the first check after that took. */
async function raise(changing: Engine, checking: Engine, account: string): Promise<number> {
  const cap = (capValue: number) =>
    changing.limits.setCap(account, METER, { period: "day", capValue, hardStop: true, notifyAtPercent: 80 }, systemClock.now());
  await cap(0);
  await checkOnce(checking, account, false);
  await cap(1_000_000);
  return checkOnce(checking, account, true);
}

async function checkOnce(engine: Engine, account: string, expected: boolean): Promise<number> {
  const from = monotonicMs();
  // With a key, so that both are decided wholly: what nothing was changed for would else go the shortest way.
  const request = { account, usage: { [METER]: 1 }, idempotencyKey: randomBase62(12) };
  const { allowed } = await engine.gate.check(request, systemClock.now());
  if (allowed !== expected) throw new Error(`the first check was ${allowed ? "allowed" : "denied"}`);
  return monotonicMs() - from;
}

/** Calls, one after the other, that say themselves how long the part of them took that counts. */
async function timed(ms: number, call: () => Promise<number>): Promise<Sample> {
  const latencies = new Latencies();
  const from = monotonicMs();
  while (monotonicMs() - from < ms) latencies.add(await call());
  const seconds = (monotonicMs() - from) / 1000;
  return { rate: latencies.total / seconds, p50Ms: latencies.percentile(0.5), p99Ms: latencies.percentile(0.99) };
}
