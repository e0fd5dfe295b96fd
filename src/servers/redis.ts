import { readFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { boundLog, keptPassword, makePrivate, writePrivate } from "./private-folder.ts";
import { endProcess, freePort, pidIn, worksIn } from "./process.ts";
import { answersPing } from "./redis-probe.ts";
import { findRedisProgram, type RedisProgram } from "./redis-program.ts";
import { type ServerEvents, type ServerSpec, SupervisedServer } from "./supervised.ts";

/** Loading a large append-only file: about 100 MB a second. */
const READY_TIME_LIMIT_MS = 120_000;
const STOP_TIME_LIMIT_MS = 20_000;
/** First starts tried, each on a fresh port: another process may take the port between our looking and its binding. */
const PORT_TRIES = 3;
const PID_FILE = "redis.pid";

const JAVASCRIPT_REDIS_WARNING =
  "No redis-server or valkey-server is on PATH, so Weir runs one written in JavaScript: it keeps nothing on disk (a restart forgets what is " +
  "not in Postgres yet), has no password, is about 15 times slower, and is for a first look only. Install redis-server, or set REDIS_URL.";

export interface RedisOptions extends ServerEvents {
  /** Weir's data folder; Redis lives in `<dataDir>/redis`. */
  dataDir: string;
  /** Told what a person should know, one sentence a call. */
  log?: ((line: string) => void) | undefined;
  /** Default true. False is for tests: nothing is written to disk. */
  appendOnly?: boolean | undefined;
  /** Logical databases. Default 16. */
  databases?: number | undefined;
  /** What to run: by default the first found on PATH, else "javascript". */
  program?: RedisProgram | "javascript" | undefined;
}

export interface RedisServer {
  /** `redis://:<password>@127.0.0.1:<port>`; stays the same when the server is restarted. */
  readonly url: string;
  /** Null while it is down between a crash and the restart. */
  readonly pid: number | null;
  readonly kind: "redis" | "valkey" | "javascript";
  /** Whether what it acknowledged survives its own end. */
  readonly durable: boolean;
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a private Redis on a free port of 127.0.0.1, with the data that the last one left. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const log = options.log ?? (() => {});
  const folder = resolve(options.dataDir, "redis");
  await makePrivate(folder);
  await reapOrphan(folder, log);
  const program = options.program ?? (await findRedisProgram(log)) ?? "javascript";
  if (program === "javascript") log(JAVASCRIPT_REDIS_WARNING);
  const password = program === "javascript" ? null : await keptPassword(folder);
  const logFile = join(folder, "redis.log");
  await boundLog(logFile);
  const sayTornTail = await tornTailAlarm(logFile, log);
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const running = runningSpec(folder, logFile, port, password);
    const spec = program === "javascript" ? javascriptSpec(running) : await programSpec(running, program, options);
    const server = new SupervisedServer(spec, {
      onDeath: options.onDeath,
      onRestart: (pid) => {
        void sayTornTail();
        options.onRestart?.(pid);
      },
    });
    try {
      await server.start();
    } catch (error) {
      if (tries < PORT_TRIES && /Address already in use|EADDRINUSE/.test(String(error))) continue;
      throw error;
    }
    await sayTornTail();
    return {
      url: `redis://${password === null ? "" : `:${password}@`}127.0.0.1:${port}`,
      get pid() {
        return server.pid;
      },
      kind: program === "javascript" ? "javascript" : program.kind,
      durable: program !== "javascript" && options.appendOnly !== false,
      stop: () => server.stop(),
      kill: (signal) => server.kill(signal),
    };
  }
}

/** Stops a Redis that a crashed Weir left in `folder`. A stranger with the same pid is left alone. */
async function reapOrphan(folder: string, log: (line: string) => void): Promise<void> {
  const pid = await pidIn(join(folder, PID_FILE));
  if (pid === null || !(await worksIn(pid, folder))) return;
  log(`Stopping the Redis that an earlier Weir left behind (pid ${pid}).`);
  if (!(await endProcess(pid, ["SIGTERM", "SIGKILL"], STOP_TIME_LIMIT_MS))) {
    throw new Error(`The Redis that an earlier Weir left behind (pid ${pid}) cannot be stopped: stop it, then start again.`);
  }
}

interface Running extends Omit<ServerSpec, "command" | "args"> {
  port: number;
  password: string | null;
}

function runningSpec(folder: string, logFile: string, port: number, password: string | null): Running {
  return {
    name: "Redis",
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
    logFile,
    port,
    password,
    isReady: () => answersPing(port, password),
    readyTimeLimitMs: READY_TIME_LIMIT_MS,
    stopSignal: "SIGTERM",
    stopTimeLimitMs: STOP_TIME_LIMIT_MS,
  };
}

async function programSpec(running: Running, program: RedisProgram, options: RedisOptions): Promise<ServerSpec> {
  const settings: Record<string, string> = {
    port: String(running.port),
    bind: "127.0.0.1",
    dir: running.cwd,
    pidfile: join(running.cwd, PID_FILE),
    requirepass: running.password ?? "",
    databases: String(options.databases ?? 16),
    daemonize: "no",
    // A counter that is evicted is a limit that is forgotten.
    "maxmemory-policy": "noeviction",
    appendonly: options.appendOnly === false ? "no" : "yes",
    // On loss of power one to two seconds; killing the process loses nothing.
    appendfsync: "everysec",
    // A torn tail is dropped and said (tornTailAlarm): what it held is restored from its source, and refusing to start helps nobody.
    "aof-load-truncated": "yes",
    // Snapshots beside the append-only file would only cost a fork.
    save: "",
  };
  // In a file, not in the arguments: those are shown to every user by `ps`.
  const file = join(running.cwd, "redis.conf");
  await writePrivate(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name} ${JSON.stringify(value)}\n`)
      .join(""),
  );
  return { ...running, command: program.path, args: [file] };
}

function javascriptSpec(running: Running): ServerSpec {
  const program = fileURLToPath(new URL(`./javascript-redis${extname(import.meta.url)}`, import.meta.url));
  return { ...running, command: process.execPath, args: [program, String(running.port), join(running.cwd, PID_FILE)] };
}

/** Gives a function that reads what the log gained since it was last called, and tells of a torn tail. */
async function tornTailAlarm(logFile: string, log: (line: string) => void): Promise<() => Promise<void>> {
  const read = (): Promise<string> => readFile(logFile, "latin1").catch(() => "");
  let seen = (await read()).length;
  return async () => {
    const text = await read();
    const gained = text.slice(seen);
    seen = text.length;
    if (!/short read while loading the AOF|loaded anyway because aof-load-truncated/i.test(gained)) return;
    log(`Redis found the end of its append-only file torn and dropped that end; ${logFile} says how much.`);
  };
}
