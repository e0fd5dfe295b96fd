import { execFile } from "node:child_process";
import { chmod, chown, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { randomBase62 } from "../kernel/ids.ts";
import { type PostgresBinaries, postgresBinaries } from "./postgres-binaries.ts";
import { boundLog, keptPassword, makePrivate } from "./private-folder.ts";
import { endProcess, freePort, isRunning, pidIn, worksIn } from "./process.ts";
import { type ServerEvents, type ServerSpec, SupervisedServer } from "./supervised.ts";
import { asUnprivileged, chooseUnprivileged, type Unprivileged } from "./unprivileged.ts";

const USER = "weir";
const DATABASE = "weir";
const INIT_TIME_LIMIT_MS = 60_000;
/** After a crash the log is replayed first: about 1 GB of it at most, a minute on a slow disk. */
const READY_TIME_LIMIT_MS = 120_000;
const STOP_TIME_LIMIT_MS = 20_000;
/** First starts tried, each on a fresh port: another process may take the port between our looking and its binding. */
const PORT_TRIES = 3;

export interface PostgresOptions extends ServerEvents {
  /** Weir's data folder; Postgres lives in `<dataDir>/postgres`. */
  dataDir: string;
  /** Told what a person should know, one sentence a call. */
  log?: ((line: string) => void) | undefined;
  /** For tests only: no fsync. A power cut may then lose everything; killing processes loses nothing. */
  fast?: boolean | undefined;
  /** Connections it takes. Default 100. */
  maxConnections?: number | undefined;
}

export interface PostgresServer {
  /** `postgres://…@127.0.0.1:<port>/weir`; stays the same when the server is restarted. */
  readonly url: string;
  /** Null while it is down between a crash and the restart. */
  readonly pid: number | null;
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

interface Place {
  folder: string;
  data: string;
  password: string;
  binaries: PostgresBinaries;
  how: Unprivileged;
}

/** Starts a private Postgres on a free port of 127.0.0.1; initialises it on the first call. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const log = options.log ?? (() => {});
  const place = await prepare(options, log);
  await reapOrphan(place.data, log);
  await initialise(place, options.fast === true);
  await checkVersion(place);
  await boundLog(join(place.folder, "postgres.log"));
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const server = new SupervisedServer(serverSpec(place, port, options), options);
    try {
      await server.start();
    } catch (error) {
      if (tries < PORT_TRIES && /could not bind|Address already in use/.test(String(error))) continue;
      throw error;
    }
    return {
      url: `postgres://${USER}:${place.password}@127.0.0.1:${port}/${DATABASE}`,
      get pid() {
        return server.pid;
      },
      stop: () => server.stop(),
      kill: (signal) => server.kill(signal),
    };
  }
}

async function prepare(options: PostgresOptions, log: (line: string) => void): Promise<Place> {
  const folder = resolve(options.dataDir, "postgres");
  const [binaries, how] = await Promise.all([postgresBinaries(), chooseUnprivileged(), makePrivate(folder)]);
  const password = await keptPassword(folder);
  if (how.kind === "user") {
    log(`User namespaces are forbidden here, so Postgres runs as the system's user "${how.name}"; it owns ${folder}.`);
    // That user must be able to pass through the data folder, not to list it.
    await chmod(dirname(folder), 0o711);
    await chown(folder, how.uid, how.gid);
    await chown(join(folder, "password"), how.uid, how.gid);
  }
  return { folder, data: join(folder, "data"), password, binaries, how };
}

/** Stops a Postgres that a crashed Weir left in `data`. A stranger with the same pid is left alone. */
async function reapOrphan(data: string, log: (line: string) => void): Promise<void> {
  const pidFile = join(data, "postmaster.pid");
  const pid = await pidIn(pidFile);
  if (pid === null) return;
  if (await worksIn(pid, data)) {
    log(`Stopping the Postgres that an earlier Weir left behind (pid ${pid}).`);
    if (!(await endProcess(pid, ["SIGINT", "SIGQUIT", "SIGKILL"], STOP_TIME_LIMIT_MS))) {
      throw new Error(`The Postgres that an earlier Weir left behind (pid ${pid}) cannot be stopped: stop it, then start again.`);
    }
  } else if (await isRunning(pid)) {
    // Postgres would take the stranger for a living postmaster and refuse to start.
    await rm(pidFile, { force: true });
  }
}

/** Creates the data folder beside its place and renames it there, so a kill in between leaves nothing half-made. */
async function initialise(place: Place, fast: boolean): Promise<void> {
  const entries = await readdir(place.folder);
  if (entries.includes("data")) return;
  // The initdb of a start that was killed may still be writing for half a second.
  const sweep = { recursive: true, force: true, maxRetries: 5, retryDelay: 200 };
  await Promise.all(entries.filter((name) => name.startsWith("new-")).map((name) => rm(join(place.folder, name), sweep)));
  const fresh = join(place.folder, `new-${randomBase62(8)}`);
  await mkdir(fresh, { mode: 0o700 });
  if (place.how.kind === "user") await chown(fresh, place.how.uid, place.how.gid);
  await runOnce(place, place.binaries.initdb, [
    `--pgdata=${fresh}`,
    `--username=${USER}`,
    `--pwfile=${join(place.folder, "password")}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    ...(fast ? ["--no-sync"] : []),
  ]);
  // The packages hold no psql; a postgres of one user and no port takes SQL from stdin.
  await runOnce(place, place.binaries.postgres, ["--single", "-D", fresh, "postgres"], `CREATE DATABASE ${DATABASE};\n`);
  await rename(fresh, place.data);
}

async function checkVersion(place: Place): Promise<void> {
  const found = Number.parseInt(await readFile(join(place.data, "PG_VERSION"), "utf8"), 10);
  if (found === place.binaries.major) return;
  throw new Error(
    `${place.data} was written by Postgres ${found}, this Weir brings ${place.binaries.major}: ` +
      "move it over with pg_dump and pg_restore, or set DATABASE_URL to a Postgres that serves it.",
  );
}

function serverSpec(place: Place, port: number, options: PostgresOptions): ServerSpec {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    // No socket: its folder would have to be open to the user that runs Postgres; the password guards the port.
    unix_socket_directories: "",
    max_connections: String(options.maxConnections ?? 100),
    log_checkpoints: "off",
    timezone: "UTC",
    log_timezone: "UTC",
    // synchronous_commit stays on: off, a killed Postgres forgets its last commits (measured), and tests kill it.
    ...(options.fast ? { fsync: "off", full_page_writes: "off", autovacuum: "off" } : {}),
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return {
    name: "Postgres",
    ...asUnprivileged(place.how, place.binaries.postgres, ["-D", place.data, ...args]),
    cwd: place.folder,
    env: environment(),
    logFile: join(place.folder, "postgres.log"),
    isReady: async (child) => {
      const lines = (await readFile(join(place.data, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
      return lines[0] === String(child.pid) && lines[7]?.trim() === "ready";
    },
    readyTimeLimitMs: READY_TIME_LIMIT_MS,
    // "Fast": ends the sessions, writes a checkpoint. SIGTERM would wait for clients that never leave.
    stopSignal: "SIGINT",
    stopTimeLimitMs: STOP_TIME_LIMIT_MS,
  };
}

/** None of ours but the path: PGDATA, PGPORT and their like would change what the server does. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}

function runOnce(place: Place, program: string, programArgs: readonly string[], input = ""): Promise<void> {
  const { command, args, user } = asUnprivileged(place.how, program, programArgs);
  return new Promise((resolvePromise, reject) => {
    const options = { cwd: place.folder, env: environment(), timeout: INIT_TIME_LIMIT_MS, ...user };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolvePromise();
      else reject(new Error(`Postgres could not be initialised: ${(stderr || stdout || error.message).trim()}${remedy(place.how)}`));
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

/** Another user than root may not enter a folder such as /root: neither for the data nor for the programs. */
function remedy(how: Unprivileged): string {
  if (how.kind !== "user") return "";
  return ` (user "${how.name}" must be able to enter both the data folder and Weir's own: move them, set WEIR_DATA_DIR, or set DATABASE_URL)`;
}
