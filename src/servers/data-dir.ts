import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makePrivate } from "./private-folder.ts";

/** A data folder that is ours until `release`. */
export interface DataDirLock {
  release(): void;
}

/**
 * Takes `dataDir` for this process, creating it with mode 700; null when another process has it. SQLite's exclusive lock is
 * the system's own file lock, which Node has no other way to: it falls with the process however that ends, so a lock is
 * never stale and no pid is ever mistaken.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock | null> {
  await makePrivate(dataDir);
  const database = new DatabaseSync(join(dataDir, "lock"));
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (/locked|busy/i.test(String(error))) return null;
    throw error;
  }
  writeFileSync(pidFile(dataDir), `${process.pid}\n`, { mode: 0o600 });
  return {
    release: () => {
      // While the lock is held: what is removed is ours.
      rmSync(pidFile(dataDir), { force: true });
      database.close();
    },
  };
}

/** The pid that last took `dataDir`, for people to read. */
export function lockHolder(dataDir: string): string {
  return readFileSync(pidFile(dataDir), "utf8").trim();
}

const pidFile = (dataDir: string): string => join(dataDir, "weir.pid");
