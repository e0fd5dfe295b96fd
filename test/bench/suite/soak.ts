import { monotonicMs, systemClock } from "../../../src/kernel/clock.ts";
import { accountNames, makeAccounts, USAGE } from "../accounts.ts";
import type { Bench } from "../bench.ts";
import { closedLoop } from "../closed-loop.ts";
import { atMost, figure, type Result } from "../result.ts";
import { median } from "../rounds.ts";
import { openEngine } from "../stores.ts";

export const title =
  "Memory of a process that checks without a pause, rolled up every second: its RSS in the last quarter beside that in the second (the first warms up).";

const ACCOUNTS = 2_000;
const CALLERS = 64;
const ROLL_UP_EVERY_MS = 1_000;
const QUARTERS = 4;
/** What the garbage collector leaves lying about differs from one look to the next. */
const FLAT = 1.1;

export async function run(bench: Bench): Promise<Result[]> {
  const engine = await openEngine(bench);
  const names = accountNames(ACCOUNTS);
  await makeAccounts(engine.db, names, systemClock.now());
  const requests = names.map((account) => ({ account, service: "api", namespace: "Room", usage: USAGE }));
  // What a first touch costs is not what is measured here.
  for (let i = 0; i < requests.length; i += 50) {
    await Promise.all(requests.slice(i, i + 50).map((request) => engine.gate.check(request, systemClock.now())));
  }
  const { soakMs } = bench.profile;
  const seen: { at: number; bytes: number }[] = [];
  const from = monotonicMs();
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, ROLL_UP_EVERY_MS));
      await engine.rollUp();
      seen.push({ at: monotonicMs() - from, bytes: process.memoryUsage.rss() });
    }
  })();
  const sample = await closedLoop(CALLERS, soakMs, (n) => {
    const request = requests[n % ACCOUNTS];
    return request ? engine.gate.check(request, systemClock.now()) : Promise.resolve();
  });
  isOver = true;
  await looking;
  const quarter = (q: number): number =>
    median(seen.filter(({ at }) => Math.floor((at * QUARTERS) / soakMs) === q).map(({ bytes }) => bytes / 1e6));
  const [value, baseline] = [quarter(QUARTERS - 1), quarter(1)];
  return [
    figure("soak.rss", "MB", { value, baseline, ratio: value / baseline }, atMost(FLAT)),
    figure("soak.checks", "checks/s", { value: sample.rate }),
  ];
}
