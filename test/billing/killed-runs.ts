import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { sleep } from "../../src/kernel/clock.ts";
import { seededRandom } from "../../src/replay/random.ts";
import { killWith } from "../support/kill-with.ts";
import { whatIsLeft, type Left } from "./invoices.ts";
import { NOW } from "./seed.ts";

const PROGRAM = fileURLToPath(new URL("./close-process.ts", import.meta.url));
/** Processes that close at once. */
const AT_ONCE = 3;

export interface Closed {
  closed: number;
  drafted: number;
  finalized: number;
  parked: number;
  ms: number;
  peakBytes: number;
}

/** Where and as of when to close, and how many invoices are made together. */
export interface ClosingOptions {
  databaseUrl: string;
  now: number;
  atOnce: number;
}

/** Runs one closing process to its end; `done` is null when it was killed. */
function closing({ databaseUrl, now, atOnce }: ClosingOptions): {
  child: ChildProcess;
  begun: Promise<unknown>;
  done: Promise<Closed | null>;
} {
  const child = fork(PROGRAM, [databaseUrl, String(now), String(atOnce)], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  killWith(child);
  let out = "";
  let err = "";
  child.stdout?.on("data", (bytes: Buffer) => (out += bytes.toString()));
  child.stderr?.on("data", (bytes: Buffer) => (err += bytes.toString()));
  const done = new Promise<Closed | null>((resolve, reject) => {
    child.on("close", (code, signal) => {
      if (signal !== null) resolve(null);
      else if (code === 0) resolve(JSON.parse(out) as Closed);
      else reject(new Error(`a closing process ended with ${code}: ${err.slice(-2_000)}`));
    });
  });
  return { child, begun: Promise.race([once(child, "message"), done]), done };
}

export async function closeOnce(options: ClosingOptions): Promise<Closed> {
  const closed = await closing(options).done;
  if (!closed) throw new Error("The closing process was killed from outside.");
  return closed;
}

export interface KilledRuns {
  kills: number;
  undisturbed: Left;
  disturbed: Left;
  undisturbedMs: number;
}

/**
 * Bills a seeded database twice over: a copy by one process that nobody disturbs, itself by three at once that are killed at random and
 * replaced, and after that once more.
 */
export async function killedRuns(
  maintenanceUrl: string,
  database: string,
  { kills, seed, atOnce }: { kills: number; seed: number; atOnce: number },
): Promise<KilledRuns> {
  const copy = `${database}_copy`;
  const sql = postgres(maintenanceUrl, { max: 1, onnotice: () => {} });
  await sql.unsafe(`create database ${copy} template ${database}`);
  await sql.end();
  const urlOf = (name: string): string => Object.assign(new URL(maintenanceUrl), { pathname: `/${name}` }).href;
  const { ms } = await closeOnce({ databaseUrl: urlOf(copy), now: NOW, atOnce });
  const disturbed = { databaseUrl: urlOf(database), now: NOW, atOnce };
  const killed = await closeWhileKilled(disturbed, { kills, seed, withinMs: (ms * AT_ONCE) / kills });
  await closeOnce(disturbed);
  return { kills: killed, undisturbed: await whatIsLeft(urlOf(copy)), disturbed: await whatIsLeft(urlOf(database)), undisturbedMs: ms };
}

/** Kills each process within a random time after it has begun; answers how many, all that were wanted or as many as lived so long. */
async function closeWhileKilled(
  options: ClosingOptions,
  { kills, seed, withinMs }: { kills: number; seed: number; withinMs: number },
): Promise<number> {
  const random = seededRandom(seed);
  let killed = 0;
  let finished = false;
  const lane = async (): Promise<void> => {
    while (!finished) {
      const { child, begun, done } = closing(options);
      await begun;
      if (killed < kills) {
        await Promise.race([sleep(withinMs * random()), done]);
        child.kill("SIGKILL");
      }
      if ((await done) === null) killed += 1;
      else finished = true;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return killed;
}
