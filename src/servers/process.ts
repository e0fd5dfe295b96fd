import { execFile } from "node:child_process";
import { readFile, readlink, realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { monotonicMs, sleep } from "../kernel/clock.ts";

const POLL_MS = 20;
/** `lsof` walks the process's files; on a loaded machine that took up to a second. */
const LSOF_TIME_LIMIT_MS = 5_000;

/** True while `pid` runs (a zombie that waits for its parent counts as ended: it holds no files any more). */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !/\) Z /.test(stat);
}

/**
 * True when `pid` works in `directory`. That is how a server of ours is told from a stranger who was given the same
 * pid after a reboot or in a new container: Postgres and Redis both change into their data folder.
 */
export async function worksIn(pid: number, directory: string): Promise<boolean> {
  const wanted = await realpath(directory).catch(() => directory);
  if (process.platform === "linux") {
    return (await readlink(`/proc/${pid}/cwd`).catch(() => "")) === wanted;
  }
  const listing = await run("lsof", ["-a", "-p", String(pid), "-d", "cwd", "-Fn"]);
  return listing.split("\n").includes(`n${wanted}`);
}

/** Sends the signals in turn, waiting `waitMs` after each, until `pid` has ended. Returns false when it outlived all. */
export async function endProcess(pid: number, signals: readonly NodeJS.Signals[], waitMs: number): Promise<boolean> {
  for (const signal of signals) {
    try {
      process.kill(pid, signal);
    } catch {
      return true;
    }
    const deadline = monotonicMs() + waitMs;
    while (monotonicMs() < deadline) {
      if (!(await isRunning(pid))) return true;
      await sleep(POLL_MS);
    }
  }
  return !(await isRunning(pid));
}

/**
 * A TCP port of 127.0.0.1 that was free a moment ago. Somebody may take it before the server does; the server then
 * ends at once and its first start is tried again on another port.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("the system gave no port"));
      });
    });
  });
}

/** The pid in the first line of `file`, or null. */
export async function pidIn(file: string): Promise<number | null> {
  const text = await readFile(file, "utf8").catch(() => "");
  const pid = Number.parseInt(text.split("\n", 1)[0] ?? "", 10);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: LSOF_TIME_LIMIT_MS }, (_error, stdout) => resolve(stdout));
  });
}
