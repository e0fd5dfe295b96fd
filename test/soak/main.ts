/**
 * `npm run test:soak -- [--minutes M] [--seed S] [--rate R]`: Weir on a Redis Cluster at 70 % of its peak (or at so many operations a
 * second), its processes restarted one after the other, one primary killed; ends with `N passed, N failed`, exits 1 when one failed.
 */
import { parseArgs } from "node:util";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { seededRandom } from "../../src/replay/random.ts";
import { closedLoop } from "../bench/closed-loop.ts";
import { median } from "../bench/rounds.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openLoop } from "./open-loop.ts";
import { Stage } from "./stage.ts";
import { furnish, openTenants, tightTenants } from "./tenants.ts";
import { demandOf, Traffic } from "./traffic.ts";
import { conclude, figures, heldAgainstReports, questions } from "./verdict.ts";
import { Watch } from "./watch.ts";

const SHARE_OF_PEAK = 0.7;
const PEAK_CALLERS = 64;
const WARM_UP_MS = 8_000;
const PEAK_STRETCH_MS = 1_000;
const PEAK_STRETCHES_MAX = 120;
/** Between two rolling restarts; in a short soak, so many fit in. */
const ROLL_EVERY_MS = 120_000;
const ROLLS_MIN = 3;
/** A primary is killed somewhere in the middle. */
const KILL_BETWEEN = [0.35, 0.65] as const;
/** After a replica has taken over, until callers must see nothing of it: by then every account was asked for, and loaded anew. */
const OVER_MS = 15_000;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "3" }, seed: { type: "string", default: "1" }, rate: { type: "string" } },
});
const ms = Number(values.minutes) * 60_000;
const seed = Number(values.seed);
const givenRate = values.rate === undefined ? null : Number(values.rate);
if (!(ms >= 60_000 && ms <= 24 * 3_600_000) || !Number.isSafeInteger(seed) || seed < 0 || (givenRate !== null && !(givenRate >= 1)))
  throw new Error("--minutes takes a number from 1 to 1440, --seed a whole number, --rate one from 1");

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const from = monotonicMs();
const at = (): string => `${((monotonicMs() - from) / 1_000).toFixed(0)} s`;
const dir = tempDir("soak");
const closers: (() => Promise<unknown>)[] = [];
const close = async (): Promise<void> => {
  for (let next = closers.pop(); next; next = closers.pop()) await next();
  dir.remove();
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void close().finally(() => process.exit(130)));
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await close();
}

async function soak(): Promise<boolean> {
  say(`soak: seed ${seed}, ${values.minutes} minutes`);
  const stage = await Stage.open(dir.path);
  closers.push(() => stage.close());
  say(`${at()}: ${stage.seats.length} processes are ready`);
  const random = seededRandom(seed);
  const traffic = new Traffic(stage, seededRandom(seed + 1), `soak-${seed}`);
  const open = openTenants();
  await furnish(stage, open);
  traffic.join(open);
  say(`${at()}: ${open.length} accounts are made`);
  const rate = givenRate ?? (await peakOf(stage, traffic)) * SHARE_OF_PEAK;
  const tight = tightTenants(demandOf((rate * ms) / 1_000));
  await furnish(stage, tight);
  traffic.join(tight);
  const tenants = [...open, ...tight];
  say(`${at()}: ${rate.toFixed(0)} operations a second from now on`);
  const watch = new Watch(stage, tight);
  const end = monotonicMs() + ms;
  const [loop] = await Promise.all([
    openLoop({ rate, ms, random, send: () => traffic.operation() }),
    restarts(stage, traffic, end),
    failover(stage, traffic, { afterMs: ms * between(KILL_BETWEEN, seededRandom(seed + 2)), nth: seed }),
  ]);
  await traffic.close();
  await watch.stop();
  const reported = await heldAgainstReports(stage, tenants);
  await stage.stopAll();
  const seen = { stage, traffic, tenants, watch, loop, reported };
  figures(seen, say);
  return conclude(await questions(seen, say), say);
}

/**
 * Operations a second, of callers that each send the next when the last is answered, while processes are restarted: here a process that starts
 * takes the cores that the others work on. What went wrong under so much is not held against the soak.
 */
async function peakOf(stage: Stage, traffic: Traffic): Promise<number> {
  await closedLoop(PEAK_CALLERS, WARM_UP_MS, () => traffic.operation());
  let restarted = false;
  const rolled = stage.roll().finally(() => (restarted = true));
  const rates: number[] = [];
  for (let stretch = 0; stretch < PEAK_STRETCHES_MAX && !restarted; stretch++)
    rates.push((await closedLoop(PEAK_CALLERS, PEAK_STRETCH_MS, () => traffic.operation())).rate);
  await rolled;
  const rate = median(rates);
  say(
    `${at()}: peak ${rate.toFixed(0)} operations a second of ${PEAK_CALLERS} callers while processes are restarted; ${traffic.unavailableCount} times 503`,
  );
  traffic.beginAnew();
  return rate;
}

function between([low, high]: readonly [number, number], random: () => number): number {
  return low + random() * (high - low);
}

async function restarts(stage: Stage, traffic: Traffic, end: number): Promise<void> {
  const every = Math.min(ROLL_EVERY_MS, ms / (ROLLS_MIN + 1));
  // One that takes longer than the time between two is followed by the next after that time.
  for (let next = monotonicMs() + every; next < end; next = Math.max(next + every, monotonicMs() + every / 2)) {
    await sleep(next - monotonicMs());
    traffic.isRolling = true;
    const began = monotonicMs();
    await stage.roll();
    traffic.isRolling = false;
    say(`${at()}: every process restarted, in ${((monotonicMs() - began) / 1_000).toFixed(1)} s`);
  }
}

async function failover(stage: Stage, traffic: Traffic, { afterMs, nth }: { afterMs: number; nth: number }): Promise<void> {
  await sleep(afterMs);
  const before = traffic.unavailableCount;
  traffic.isFailingOver = true;
  const killedAt = monotonicMs();
  const victim = await stage.killPrimary(nth);
  const tookOver = monotonicMs();
  await sleep(OVER_MS);
  traffic.isFailingOver = false;
  const last = Math.max(0, traffic.lastUnavailableAt - killedAt) / 1_000;
  say(
    `${at()}: a primary was killed and replaced after ${((tookOver - killedAt) / 1_000).toFixed(1)} s; the last 503 came ${last.toFixed(1)} s after the kill, ${before} came before`,
  );
  await stage.rejoin(victim);
  say(`${at()}: it has come back, as a replica`);
}
