import { sleep } from "../../src/kernel/clock.ts";
import { windowsAt, type Period } from "../../src/kernel/window.ts";
import type { Random } from "../../src/replay/random.ts";
import { RedisNode } from "../support/redis-node.ts";
import type { Seat, Stage } from "./stage.ts";

/** What a fault does to the stage while traffic runs. */
export interface Fault {
  name: string;
  /** Lives of Redis that end by it, for every account: each may strand one chunk of a limit. */
  losses: number;
  /** Two primaries answer at once: an operation sent again may be counted by each. */
  splits?: boolean;
  /** The window whose end the clocks pass. */
  steps?: Period;
  strike(stage: Stage, random: Random, log: (line: string) => void): Promise<void>;
}

const pick = <T>(from: readonly T[], random: Random): T => {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new Error("Nothing to pick from");
  return chosen;
};

const between = (low: number, high: number, random: Random): number => low + random() * (high - low);

async function withRedisDown(stage: Stage, random: Random, keep: boolean): Promise<void> {
  await stage.primary.kill();
  await sleep(between(0, 80, random));
  await stage.primary.restart(keep);
}

async function failOver(stage: Stage, random: Random, log: (line: string) => void, old: "dies" | "lives on" | "lags"): Promise<void> {
  const former = stage.primary;
  const replica = await RedisNode.follow(former, stage.dataDir);
  if (old === "lags") {
    replica.signal("SIGSTOP");
    await sleep(between(30, 120, random));
  }
  stage.abandoned.push(former);
  stage.primary = replica;
  if (old !== "lives on") await former.kill();
  replica.signal("SIGCONT");
  await replica.promote();
  if (old !== "lives on") return stage.useRedis(replica);
  // Split brain: one API keeps talking to the old primary, which knows nothing of the new one.
  const left = pick(stage.apis, random);
  log(`API ${left.process.pid} stays with the old primary`);
  stage.useRedis(
    replica,
    stage.seats.filter((seat) => seat !== left),
  );
  await sleep(between(100, 300, random));
}

/** A crash of one part: a run has at most one of these. */
export const CRASHES: readonly Fault[] = [
  { name: "kill an API", losses: 0, strike: (stage, random) => stage.killProcess(pick(stage.apis, random)) },
  { name: "kill a worker", losses: 0, strike: (stage, random) => stage.killProcess(pick(stage.workers, random)) },
  { name: "kill Redis, which keeps its file", losses: 1, strike: (stage, random) => withRedisDown(stage, random, true) },
  { name: "kill Redis, which keeps nothing", losses: 1, strike: (stage, random) => withRedisDown(stage, random, false) },
  { name: "FLUSHALL", losses: 1, strike: async (stage) => void (await stage.primary.flush()) },
  { name: "promote a replica", losses: 1, strike: (stage, random, log) => failOver(stage, random, log, "dies") },
  { name: "promote a replica that lags", losses: 1, strike: (stage, random, log) => failOver(stage, random, log, "lags") },
  { name: "split brain", losses: 2, splits: true, strike: (stage, random, log) => failOver(stage, random, log, "lives on") },
  { name: "stop Postgres at once", losses: 0, strike: async (stage) => stage.killPostgres("SIGQUIT") },
  { name: "kill Postgres' sessions", losses: 0, strike: (stage, random) => killSessions(stage, random) },
];

async function killSessions(stage: Stage, random: Random): Promise<void> {
  const rows = await stage.sql<{ pid: number }[]>`select pid from pg_stat_activity where application_name = 'weir'`.catch(() => []);
  for (const { pid } of rows) {
    if (random() < 0.5) await stage.sql`select pg_terminate_backend(${pid})`.catch(() => {});
  }
  // SIGKILL of one session makes Postgres restart all of them.
  const last = rows.at(-1);
  if (last && random() < 0.5) {
    try {
      process.kill(last.pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Troubles that lose nothing by themselves: a run may have several. */
export const TROUBLES: readonly Fault[] = [
  { name: "pause an API", losses: 0, strike: (stage, random) => paused(pick(stage.apis, random), random) },
  { name: "pause a worker", losses: 0, strike: (stage, random) => paused(pick(stage.workers, random), random) },
  {
    name: "pause Redis",
    losses: 0,
    strike: async (stage, random) => {
      stage.primary.signal("SIGSTOP");
      await sleep(between(50, 350, random));
      stage.primary.signal("SIGCONT");
    },
  },
  { name: "lose Redis' replies", losses: 0, strike: (stage, random) => repliesLost(pick(stage.seats, random).redis, random) },
  { name: "lose Postgres' replies", losses: 0, strike: (stage, random) => repliesLost(pick(stage.seats, random).postgres, random) },
  { name: "stall Redis", losses: 0, strike: (stage, random) => stalled(pick(stage.seats, random).redis, random) },
  { name: "stall Postgres", losses: 0, strike: (stage, random) => stalled(pick(stage.seats, random).postgres, random) },
  { name: "reset connections to Redis", losses: 0, strike: async (stage, random) => pick(stage.seats, random).redis.cut() },
  { name: "reset connections to Postgres", losses: 0, strike: async (stage, random) => pick(stage.seats, random).postgres.cut() },
  { name: "step over midnight", losses: 0, steps: "day", strike: (stage) => stepTo(stage, "day") },
  { name: "step over the month's end", losses: 0, steps: "month", strike: (stage) => stepTo(stage, "month") },
];

async function paused(seat: Seat, random: Random): Promise<void> {
  const { process } = seat;
  process.signal("SIGSTOP");
  await sleep(between(50, 400, random));
  process.signal("SIGCONT");
}

async function repliesLost(proxy: Seat["redis"], random: Random): Promise<void> {
  proxy.mode = "drop-replies";
  await sleep(between(10, 60, random));
  proxy.cut();
  proxy.mode = "pass";
}

async function stalled(proxy: Seat["redis"], random: Random): Promise<void> {
  proxy.mode = "stall";
  await sleep(between(20, 300, random));
  proxy.mode = "pass";
}

const BEFORE_END_MS = 200;

/** Jumps to just before the window's end; the clocks, which differ, run over it one after the other. */
async function stepTo(stage: Stage, period: Period): Promise<void> {
  const { end } = windowsAt(stage.now, { anchorDay: 1, timezone: "UTC" })[period];
  await stage.setClock(end - BEFORE_END_MS);
}
