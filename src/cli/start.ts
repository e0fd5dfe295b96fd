import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { mintKey } from "../accounts/api-key.ts";
import { type Config, ConfigError, readConfig } from "../config.ts";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import { lockDataDir, lockHolder } from "../servers/data-dir.ts";
import { startPostgres } from "../servers/postgres.ts";
import { writePrivate } from "../servers/private-folder.ts";
import { startRedis } from "../servers/redis.ts";
import type { RedisAddress } from "../stores/redis-servers.ts";
import type { ServerDeath, ServerEvents } from "../servers/supervised.ts";
import { EXIT } from "./exit.ts";
import { DEMO_ACCOUNT, serve } from "./serve.ts";

/** From the first signal to the end, whatever is still open by then. */
const DRAIN_TIME_LIMIT_MS = 10_000;
/** One Ctrl-C reaches us up to three times: from the terminal, from npm and from the launcher. Later ones are meant. */
const SAME_SIGNAL_MS = 1_000;

/** What has been opened so far, closed in reverse. */
type Closers = (() => Promise<void> | void)[];

export interface StartOptions {
  /** Processes that serve the API. */
  workers: number;
  /** Whether jobs that any process may run are run by this one. */
  jobs: boolean;
}

/** `npm start`: runs Weir until it is told to stop. Never returns: it ends the process. */
export async function start(options: StartOptions): Promise<void> {
  const closers: Closers = [];
  stopOnSignals(closers);
  try {
    const url = await open(readConfig(process.env), options, closers);
    process.stdout.write(`Weir is ready at ${url}\n`);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    await closeAll(closers);
    process.exit(error instanceof ConfigError ? EXIT.usage : EXIT.failed);
  }
}

/** Opens everything in order and answers with the address that is served. */
async function open(config: Config, { workers, jobs }: StartOptions, closers: Closers): Promise<string> {
  if (workers > 1 && config.testClock) throw new ConfigError("WEIR_TEST_CLOCK sets the clock of one process: leave out --workers with it.");
  if (!jobs && (config.databaseUrl === null || config.redisUrl === null))
    throw new ConfigError("--no-jobs leaves jobs to weir worker, which cannot reach stores of Weir's own: set DATABASE_URL and REDIS_URL.");
  await takeDataDir(config.dataDir, closers);
  for (const { host, port } of [config, ...(config.admin === null ? [] : [config.admin])]) await expectFreePort({ host, port });
  const [databaseUrl, redis] = await Promise.all([openPostgres(config, closers), openRedis(config, closers)]);
  const credentialsFile = join(config.dataDir, "credentials.json");
  const adminKey = config.adminKey ?? (await keptKey(credentialsFile)) ?? mintKey("admin").key;
  const ground = { config, databaseUrl, redisUrl: redis.url, redisDurable: redis.durable, adminKey, workers, runsJobs: jobs, log: say };
  const served = await serve(ground).catch((error: NodeJS.ErrnoException) => {
    throw error.syscall === "listen" ? portError(error, config.host, config.port) : error;
  });
  closers.push(() => served.close());
  const scheme = config.tls === null ? "http" : "https";
  const url = `${scheme}://${shownHost(config.host)}:${served.port}`;
  // The operator's key is of use where the operator's routes are.
  const adminUrl = config.admin && served.adminPort !== null ? `${scheme}://${shownHost(config.admin.host)}:${served.adminPort}` : null;
  if (adminUrl !== null) say(`the operator's routes are answered at ${adminUrl} alone.`);
  await writePrivate(credentialsFile, `${JSON.stringify({ url: adminUrl ?? url, key: adminKey, account: DEMO_ACCOUNT }, null, 2)}\n`);
  return url;
}

async function takeDataDir(dataDir: string, closers: Closers): Promise<void> {
  const lock = await lockDataDir(dataDir).catch((error: Error) => {
    throw new Error(`The data folder ${dataDir} cannot be used (${error.message}): set WEIR_DATA_DIR to one that can.`);
  });
  if (lock === null) {
    throw new Error(`Another Weir (pid ${lockHolder(dataDir)}) runs on ${dataDir}: stop it first, or set WEIR_DATA_DIR to another folder.`);
  }
  closers.push(() => lock.release());
}

/** Fails before a database is started for nothing. The port can still be taken until the server binds it. */
function expectFreePort({ host, port }: Pick<Config, "host" | "port">): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => reject(portError(error, host, port)));
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}

function portError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === "EADDRINUSE") return new Error(`Port ${port} of ${host} is in use: stop what uses it, or set PORT to another.`);
  if (error.code === "EACCES") return new Error(`Port ${port} of ${host} may not be used by this user: set PORT to one above 1023.`);
  return new Error(`Weir cannot listen on ${host}, port ${port} (${error.code ?? error.message}): set WEIR_HOST and PORT.`);
}

async function openPostgres(config: Config, closers: Closers): Promise<string> {
  if (config.databaseUrl !== null) return config.databaseUrl;
  const server = await startPostgres({ dataDir: config.dataDir, log: say, ...supervision("Postgres") });
  closers.push(() => server.stop());
  return server.url;
}

async function openRedis(config: Config, closers: Closers): Promise<{ url: RedisAddress; durable: boolean | null }> {
  // Of a server that is not ours, only asking it tells whether it keeps what it is given.
  if (config.redisUrl !== null) return { url: config.redisUrl, durable: null };
  const server = await startRedis({ dataDir: config.dataDir, log: say, ...supervision("Redis") });
  closers.push(() => server.stop());
  return { url: server.url, durable: server.durable };
}

function supervision(name: string): ServerEvents {
  return {
    onDeath: ({ code, signal, tail }: ServerDeath) => {
      const how = signal ?? (code === null ? "it does not start" : `exit code ${code}`);
      say(`${name} ended by itself (${how}); starting it again. Its last words: ${tail.split("\n").at(-1) ?? ""}`);
    },
    onRestart: (pid) => say(`${name} is back (pid ${pid}).`),
  };
}

/** The key that an earlier start made, so that a restart locks nobody out. */
async function keptKey(credentialsFile: string): Promise<string | null> {
  const text = await readFile(credentialsFile, "utf8").catch(() => null);
  if (text === null) return null;
  try {
    const { key } = JSON.parse(text) as { key?: unknown };
    return typeof key === "string" && key !== "" ? key : null;
  } catch {
    throw new Error(`${credentialsFile} is not valid JSON: delete it, and a new key is made.`);
  }
}

/** An address that listens everywhere is no address to go to. */
function shownHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

function stopOnSignals(closers: Closers): void {
  let stoppingSince: number | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSince === null) {
      stoppingSince = monotonicMs();
      say(`stopping on ${signal} …`);
      void stopWithin(closers);
    } else if (monotonicMs() - stoppingSince > SAME_SIGNAL_MS) {
      say("stopped at once; the servers' watchers stop Postgres and Redis.");
      process.exit(EXIT.failed);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
}

async function stopWithin(closers: Closers): Promise<void> {
  const inTime = await Promise.race([closeAll(closers).then(() => true), sleep(DRAIN_TIME_LIMIT_MS).then(() => false)]);
  if (!inTime) say(`not everything closed within ${DRAIN_TIME_LIMIT_MS / 1000} s; ending all the same.`);
  process.exit(inTime ? EXIT.ok : EXIT.failed);
}

/** Closes what is open, the last opened first; one that fails keeps none from being closed. */
async function closeAll(closers: Closers): Promise<void> {
  for (let close = closers.pop(); close; close = closers.pop()) {
    try {
      await close();
    } catch (error) {
      say(`while stopping: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** To people, on stderr: stdout holds the ready line alone. */
function say(line: string): void {
  process.stderr.write(`Weir: ${line}\n`);
}
