import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { sleep } from "../../src/kernel/clock.ts";
import { freePort } from "../../src/servers/process.ts";
import { asUnprivileged, chooseUnprivileged } from "../../src/servers/unprivileged.ts";

const TRIES = 200;
const TRY_EVERY_MS = 50;
const SHIPPED = new URL("../../deploy/pgbouncer.ini", import.meta.url);

/** PgBouncer's program; null where this machine has none. */
export function pgbouncerProgram(): string | null {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, "pgbouncer")).find((path) => existsSync(path)) ?? null;
}

/** Starts it before a database, set up as deploy/pgbouncer.ini is, but for addresses and passwords. Two connections must do for everybody. */
export async function startPgbouncer(
  program: string,
  databaseUrl: string,
  dataDir: string,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = join(dataDir, "pgbouncer");
  const [how, port, { hostname, port: behind, username, password, pathname }] = [
    await chooseUnprivileged(),
    await freePort(),
    new URL(databaseUrl),
  ];
  const server = `host=${hostname} port=${behind} dbname=${pathname.slice(1)} user=${username} password=${password}`;
  const shipped = await readFile(SHIPPED, "utf8");
  const changed = shipped
    .replace(/host=\S+ port=\d+ dbname=\S+/, server)
    .replace(/^(listen_addr) = .*/m, "$1 = 127.0.0.1\nunix_socket_dir =")
    .replace(/^(listen_port) = .*/m, `$1 = ${port}`)
    .replace(/^(auth_type) = .*/m, "$1 = any")
    .replace(/^auth_file = .*\n/m, "")
    .replace(/^(default_pool_size) = .*/m, "$1 = 2");
  await mkdir(folder, { mode: 0o700 });
  const file = join(folder, "pgbouncer.ini");
  await writeFile(file, changed, { mode: 0o600 });
  if (how.kind === "user") {
    await chmod(dataDir, 0o711);
    await Promise.all([chown(folder, how.uid, how.gid), chown(file, how.uid, how.gid)]);
  }
  const { command, args, user } = asUnprivileged(how, program, [file]);
  const child = spawn(command, args, { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (let i = 0; !(await answers(port)); i++) {
    if (i === TRIES || child.exitCode !== null) throw new Error(`PgBouncer does not start: ${said}`);
    await sleep(TRY_EVERY_MS);
  }
  return {
    url: `postgres://${username}@127.0.0.1:${port}/weir`,
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
