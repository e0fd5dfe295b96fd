import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** Feeds stdin; it is closed when the promise settles. */
  feed?: (stdin: NodeJS.WritableStream) => Promise<void>;
}

/** A Weir that runs as `weir start` runs it, and its command line. */
export interface RunningWeir {
  url: string;
  key: string;
  dataDir: string;
  /** Where its stores are. */
  env: { DATABASE_URL: string; REDIS_URL: string };
  weir(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Asks the API as the operator, for `account`. */
  api(method: string, path: string, account: string, body?: unknown): Promise<unknown>;
  /** Ends its process at once, and starts another on the same stores. */
  killAndStart(): Promise<void>;
  stop(): Promise<void>;
}

/** Running every job at once takes a busy machine ten seconds and more. */
const CALL_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;
const MAIN = join(ROOT, "src/cli/main.ts");

/** Starts Weir on stores of its own and on a free port; `settings` are variables of its environment. */
export async function startWeir(settings: Record<string, string> = {}, options: readonly string[] = []): Promise<RunningWeir> {
  const stack = await createTestStack();
  const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", WEIR_DATA_DIR: stack.dataDir };
  const stores = { DATABASE_URL: stack.databaseUrl, REDIS_URL: stack.redisServer };
  const launch = async () => {
    const server = spawn(process.execPath, [MAIN, "start", ...options], {
      env: { ...env, ...stores, PORT: "0", LOG_LEVEL: "error", ...settings },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await readyLine(server);
    const { url, key } = JSON.parse(readFileSync(join(stack.dataDir, "credentials.json"), "utf8")) as { url: string; key: string };
    return { server, url, key };
  };
  let running = await launch();
  return {
    get url() {
      return running.url;
    },
    key: running.key,
    dataDir: stack.dataDir,
    env: stores,
    weir: (args, options = {}) => run(args, { ...env, ...options.env }, options.feed),
    api: async (method, path, account, body) => {
      const headers = { authorization: `Bearer ${running.key}`, "weir-account": account, "content-type": "application/json" };
      const init = {
        method,
        headers,
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      return (await fetch(`${running.url}${path}`, init)).json();
    },
    killAndStart: async () => {
      const ended = once(running.server, "exit");
      running.server.kill("SIGKILL");
      await ended;
      running = await launch();
    },
    stop: () => stop(running.server, stack),
  };
}

async function readyLine(server: ChildProcess): Promise<void> {
  const ended = once(server, "exit").then(() => {
    throw new Error("weir start ended before it was ready");
  });
  const ready = (async () => {
    for await (const chunk of server.stdout ?? []) if (String(chunk).includes("Weir is ready at ")) return;
  })();
  const late = AbortSignal.timeout(START_TIMEOUT_MS);
  await Promise.race([ready, ended, once(late, "abort").then(() => Promise.reject(new Error("weir start took too long")))]);
  ended.catch(() => undefined);
}

async function stop(server: ChildProcess, stack: TestStack): Promise<void> {
  if (server.exitCode === null) {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
  }
  await stack.stop();
}

/** Runs one command line. */
export async function run(args: readonly string[], env: Record<string, string>, feed?: RunOptions["feed"]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["pipe", "pipe", "pipe"], timeout: CALL_TIMEOUT_MS });
  const ran: Ran = { code: null, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (ran.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (ran.stderr += String(chunk)));
  const closed = once(child, "close");
  await feed?.(child.stdin);
  child.stdin.end();
  const [code] = (await closed) as [number | null];
  return { ...ran, code };
}
