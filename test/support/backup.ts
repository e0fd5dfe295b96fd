import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, chown, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { postgresBinaries } from "../../src/servers/postgres-binaries.ts";
import { freePort } from "../../src/servers/process.ts";
import { SupervisedServer } from "../../src/servers/supervised.ts";
import { asUnprivileged, chooseUnprivileged, type Unprivileged } from "../../src/servers/unprivileged.ts";
import { migrate } from "../../src/stores/migrate.ts";
import type { TestStack } from "./stack.ts";

const run = promisify(execFile);
/** Where Debian and its kin keep each version's programs. */
const DEBIAN = "/usr/lib/postgresql";
const READY_TIME_LIMIT_MS = 60_000;

/** A migrated database that is backed up and restored as the runbook says. */
export interface BackupPlace {
  databaseUrl: string;
  /** While Weir runs on it. */
  backUp(): Promise<void>;
  /** Into a new database; answers its address. */
  restore(): Promise<string>;
  /** Close your own connections first. */
  stop(): Promise<void>;
}

/** How this machine can back up: `title` for whoever reads the results. */
export interface BackupWay {
  title: string;
  open(stack: TestStack): Promise<BackupPlace>;
}

/**
 * pg_dump refuses a server newer than itself. So: that of the tests' own Postgres or a newer one; else an older one, with a server of its
 * own version; where there is none at all, the database is copied within the server, which proves all but the dump.
 */
export async function backupWay(): Promise<BackupWay> {
  const { major } = await postgresBinaries();
  const [best] = await versions();
  if (best !== undefined && best.major >= major)
    return { title: `pg_dump ${best.major}`, open: (stack) => dumped(best.bin, stack.dataDir, stack.databaseUrl, async () => {}) };
  if (best !== undefined && existsSync(join(best.bin, "initdb"))) {
    const open = async (stack: TestStack): Promise<BackupPlace> => {
      const server = await startServer(best.bin, stack.dataDir);
      return dumped(best.bin, stack.dataDir, server.url, server.stop);
    };
    return { title: `pg_dump ${best.major}, on a Postgres of that version`, open };
  }
  return { title: `no pg_dump here: copied within Postgres ${major}`, open: (stack) => Promise.resolve(copied(stack)) };
}

/** Folders that hold pg_dump and pg_restore, the newest first. */
async function versions(): Promise<{ bin: string; major: number }[]> {
  const onPath = (process.env["PATH"] ?? "").split(":");
  const debian = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, "bin")) : [];
  const bins = [...debian, ...onPath].filter((bin) => existsSync(join(bin, "pg_dump")) && existsSync(join(bin, "pg_restore")));
  const known = await Promise.all(
    bins.map(async (bin) => {
      const { stdout } = await run(join(bin, "pg_dump"), ["--version"]);
      return { bin, major: Number.parseInt(/(\d+)\D*/.exec(stdout)?.[1] ?? "0", 10) };
    }),
  );
  return known.toSorted((a, b) => b.major - a.major);
}

async function dumped(bin: string, dataDir: string, databaseUrl: string, stop: () => Promise<void>): Promise<BackupPlace> {
  const file = join(dataDir, "weir.dump");
  const restoredUrl = another(databaseUrl);
  return {
    databaseUrl,
    backUp: async () => void (await run(join(bin, "pg_dump"), ["--format=custom", `--file=${file}`, databaseUrl])),
    restore: async () => {
      await create(databaseUrl, restoredUrl, "");
      await run(join(bin, "pg_restore"), ["--exit-on-error", `--dbname=${restoredUrl}`, file]);
      return restoredUrl;
    },
    stop: async () => {
      await drop(databaseUrl, restoredUrl);
      await stop();
    },
  };
}

function copied({ databaseUrl }: TestStack): BackupPlace {
  const restoredUrl = another(databaseUrl);
  return {
    databaseUrl,
    backUp: () => Promise.resolve(),
    restore: async () => {
      await create(databaseUrl, restoredUrl, `template ${nameOf(databaseUrl)}`);
      return restoredUrl;
    },
    stop: () => drop(databaseUrl, restoredUrl),
  };
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1);
const another = (url: string): string => Object.assign(new URL(url), { pathname: `/${nameOf(url)}_restored` }).href;

const create = (near: string, url: string, options: string): Promise<void> => maintain(near, `create database ${nameOf(url)} ${options}`);
const drop = (near: string, url: string): Promise<void> => maintain(near, `drop database if exists ${nameOf(url)} with (force)`);

async function maintain(near: string, statement: string): Promise<void> {
  const sql = postgres(Object.assign(new URL(near), { pathname: "/postgres" }).href, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

/** A private server of the programs in `bin`, with a migrated database. */
async function startServer(bin: string, dataDir: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const how = await chooseUnprivileged();
  const folder = join(dataDir, "backup");
  await mkdir(folder, { mode: 0o700 });
  if (how.kind === "user") {
    await chmod(dataDir, 0o711);
    await chown(folder, how.uid, how.gid);
  }
  const data = join(folder, "data");
  const initdb = asUnprivileged(how, join(bin, "initdb"), [
    `--pgdata=${data}`,
    "--username=weir",
    "--auth=trust",
    "--encoding=UTF8",
    "--no-sync",
  ]);
  await run(initdb.command, initdb.args, { cwd: folder, env: { PATH: process.env["PATH"], LC_ALL: "C" }, ...initdb.user });
  const port = await freePort();
  const server = new SupervisedServer(serverSpec(how, bin, folder, data, port));
  await server.start();
  const url = `postgres://weir@127.0.0.1:${port}/weir`;
  await create(url, url, "");
  await migrate(url);
  return { url, stop: () => server.stop() };
}

function serverSpec(how: Unprivileged, bin: string, folder: string, data: string, port: number) {
  const settings = ["listen_addresses=127.0.0.1", `port=${port}`, "unix_socket_directories=", "fsync=off", "timezone=UTC"];
  const args = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
  return {
    name: "Postgres",
    ...asUnprivileged(how, join(bin, "postgres"), args),
    cwd: folder,
    env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" },
    logFile: join(folder, "postgres.log"),
    isReady: async () => (await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "")).split("\n")[7]?.trim() === "ready",
    readyTimeLimitMs: READY_TIME_LIMIT_MS,
    stopSignal: "SIGINT" as const,
    stopTimeLimitMs: READY_TIME_LIMIT_MS,
  };
}
