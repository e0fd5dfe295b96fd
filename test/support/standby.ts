import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import { postgresBinaries } from "../../src/servers/postgres-binaries.ts";
import { startPostgres, type PostgresServer } from "../../src/servers/postgres.ts";
import { freePort } from "../../src/servers/process.ts";
import { asUnprivileged, chooseUnprivileged } from "../../src/servers/unprivileged.ts";
import { killWith } from "./kill-with.ts";

const READY_TIME_LIMIT_MS = 60_000;
/** A standby refuses to start with less than its primary has. */
const MAX_CONNECTIONS = 60;

/** A Postgres and a streaming standby of it, of the binaries that Weir brings: both may be killed. */
export interface PostgresPair {
  primary: PostgresServer;
  standby: Standby;
  stop(): Promise<void>;
}

/** Starts both in `dataDir`. The standby begins with the files of a primary that was stopped in order: the packages hold no pg_basebackup. */
export async function startPostgresPair(dataDir: string): Promise<PostgresPair> {
  const [own, other] = [join(dataDir, "primary"), join(dataDir, "standby")];
  const options = { dataDir: own, fast: true, maxConnections: MAX_CONNECTIONS };
  await (await startPostgres(options)).stop();
  // The standby connects after the primary has gone on.
  appendFileSync(join(own, "postgres/data/postgresql.auto.conf"), "wal_keep_size = '256MB'\n");
  mkdirSync(other, { mode: 0o711 });
  // With its owner and modes: Postgres refuses a folder that others may enter.
  execFileSync("cp", ["-a", join(own, "postgres"), join(other, "postgres")]);
  const primary = await startPostgres(options);
  const standby = new Standby(join(other, "postgres"), new URL(primary.url), await freePort());
  await standby.start();
  return {
    primary,
    standby,
    stop: async () => void (await Promise.all([standby.kill(), primary.stop()])),
  };
}

/** The second of a pair, which follows the first. It may be killed, started again, and promoted by whoever asks it to be. */
class Standby {
  /** The database of the primary's URL, here. */
  readonly url: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | null = null;

  constructor(folder: string, primary: URL, port: number) {
    this.url = Object.assign(new URL(primary), { port: String(port) }).href;
    this.#folder = folder;
    this.#port = port;
    const { hostname, port: primaryPort, username, password } = primary;
    writeFileSync(join(folder, "data/standby.signal"), "");
    appendFileSync(
      join(folder, "data/postgresql.auto.conf"),
      `primary_conninfo = 'host=${hostname} port=${primaryPort} user=${username} password=${password}'\nwal_retrieve_retry_interval = '100ms'\n`,
    );
  }

  /** Starts it, or starts it again after a kill; resolves when it answers. */
  async start(): Promise<void> {
    const [binaries, how] = await Promise.all([postgresBinaries(), chooseUnprivileged()]);
    const settings = {
      listen_addresses: "127.0.0.1",
      port: this.#port,
      unix_socket_directories: "",
      max_connections: MAX_CONNECTIONS,
      timezone: "UTC",
      fsync: "off",
      hot_standby_feedback: "on",
      // Every statement is in its log, so that it is seen who answered.
      log_min_duration_statement: 0,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const { command, args: all, user } = asUnprivileged(how, binaries.postgres, ["-D", join(this.#folder, "data"), ...args]);
    const log = openSync(this.#log, "a");
    const child = spawn(command, all, {
      cwd: this.#folder,
      stdio: ["ignore", log, log],
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
      ...user,
    });
    closeSync(log);
    killWith(child);
    this.#process = child;
    const until = monotonicMs() + READY_TIME_LIMIT_MS;
    while (!this.#answers(child)) {
      if (child.exitCode !== null || monotonicMs() > until)
        throw new Error(`The standby did not start: ${readFileSync(this.#log, "utf8")}`);
      await sleep(20);
    }
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
    this.#process = null;
  }

  /** Statements that it has carried out and that hold `text`. */
  answered(text: string): number {
    return readFileSync(this.#log, "utf8").split(text).length - 1;
  }

  get #log(): string {
    return join(this.#folder, "standby.log");
  }

  #answers(child: ChildProcess): boolean {
    try {
      const lines = readFileSync(join(this.#folder, "data/postmaster.pid"), "utf8").split("\n");
      return lines[0] === String(child.pid) && ["standby", "ready"].includes(lines[7]?.trim() ?? "");
    } catch {
      return false;
    }
  }
}
