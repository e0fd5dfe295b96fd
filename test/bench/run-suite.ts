import { fork } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { monotonicMs } from "../../src/kernel/clock.ts";
import type { Profile, Suite, SuiteName } from "./bench.ts";
import type { Order } from "./child.ts";
import type { Result } from "./result.ts";
import type { Stores } from "./stores.ts";

/** What came of one benchmark. */
export interface Outcome {
  title: string;
  results: Result[];
  seconds: number;
  /** Why there are no results. */
  error: string | null;
}

/** A benchmark that hangs is given up; the longest fills a system with a million accounts first. */
const SUITE_TIME_LIMIT_MS = 120 * 60_000;

/** Runs one benchmark in a process and on stores of its own, so that none inherits another's garbage, code or connections. */
export async function runSuite(
  name: SuiteName,
  profile: Profile,
  stores: Stores,
  folder: string,
  say: (line: string) => void,
): Promise<Outcome> {
  const { title, needsSecond = false } = (await import(`./suite/${name}.ts`)) as Suite;
  const from = monotonicMs();
  say(`${name}: ${title}`);
  const outcome = (results: Result[], error: string | null): Outcome => ({
    title,
    results,
    seconds: Math.round((monotonicMs() - from) / 1000),
    error,
  });
  const addresses = await stores.fresh(name);
  const second = needsSecond ? await stores.freshSecond(name) : null;
  const dataDir = join(folder, name);
  await mkdir(dataDir, { recursive: true });
  const order: Order = { suite: name, profile, ...addresses, second, dataDir };
  return new Promise((resolve) => {
    const child = fork(new URL("./child.ts", import.meta.url), { stdio: ["ignore", 2, 2, "ipc"] });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(outcome([], "it did not end in time"));
    }, SUITE_TIME_LIMIT_MS);
    child.on("message", (message: { results?: Result[]; error?: string }) => {
      clearTimeout(timer);
      resolve(outcome(message.results ?? [], message.error ?? null));
    });
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(outcome([], `it ended with ${signal ?? code}`));
    });
    child.send(order);
  });
}
