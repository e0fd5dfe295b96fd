import { closeSync, fdatasync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { promisify } from "node:util";
import { WeirError } from "../kernel/errors.ts";

const syncData = promisify(fdatasync);

// EXCLUSIVE before WAL: the wal-index lives on the heap, so there is no -shm file and no second process by accident.
// NORMAL: COMMIT writes the log without an fsync that would hold up the event loop; `flush` does it on the thread pool.
// cache_spill off: a 2 MiB value in an open transaction wrote 334 kB to the log before it was rolled back; now it writes none.
const PRAGMAS = `
  pragma locking_mode = exclusive;
  pragma journal_mode = wal;
  pragma synchronous = normal;
  pragma cache_spill = off;
  pragma journal_size_limit = 4194304;
  pragma trusted_schema = off;
`;

/**
 * One SQLite database on disk, owned by this process while it is open.
 *
 * Durable means: `commit`, then `flush`. The write-ahead log is what SQLite recovers from, and `flush` is the same
 * fdatasync that synchronous=FULL does inside COMMIT, only off the event loop (0.2 ms here, several on a plain disk).
 */
export class SqliteFile {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #log: number | null = null;

  /** Opens `path`; creates it when missing. Throws `unavailable` where the disk or another process stands in the way. */
  constructor(path: string, schema = "") {
    this.path = path;
    this.#database = translated(() => new DatabaseSync(path, { timeout: 0 }));
    try {
      translated(() => this.#database.exec(PRAGMAS + schema));
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** The prepared statement of `sql`; statements are few and fixed, so each file keeps its own. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  begin(): void {
    translated(() => this.#database.exec("begin immediate"));
  }

  commit(): void {
    translated(() => this.#database.exec("commit"));
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec("rollback");
  }

  /** Runs `change` in a transaction of its own; it must not await. */
  change<T>(change: () => T): T {
    this.begin();
    try {
      const result = translated(change);
      this.commit();
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Resolves when all that was committed survives a loss of power. */
  async flush(): Promise<void> {
    // SQLite takes no locks on the log, so closing this descriptor drops none of its locks (it would on the database file).
    this.#log ??= openSync(`${this.path}-wal`, "r+");
    await syncData(this.#log).catch((cause: unknown) => {
      throw diskTrouble(cause);
    });
  }

  /** Folds the log into the database and closes both. */
  close(): void {
    if (this.#log !== null) closeSync(this.#log);
    this.#log = null;
    this.#statements.clear();
    this.#database.close();
  }
}

/** Bytes of the pages in use: what the object costs, inside a transaction as it would be after COMMIT. */
export function storageBytes(file: Pick<SqliteFile, "statement">): number {
  const row = file.statement(STORAGE).get();
  return Number(row?.["bytes"]);
}

const STORAGE = `
  select (page_count - freelist_count) * page_size as bytes
  from pragma_page_count, pragma_freelist_count, pragma_page_size`;

// SQLite's primary result codes: https://sqlite.org/rescode.html
const TROUBLE: Record<number, string> = {
  5: "is held by another process",
  6: "is locked",
  8: "is on a read-only disk",
  10: "could not be read or written",
  11: "is damaged",
  13: "found no space left on the disk",
  14: "could not be opened",
  26: "is damaged",
};

/** Runs `call`; what the disk does comes out as `unavailable`, anything else as it is: it would be a bug of ours. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const code = cause instanceof Error && "errcode" in cause ? Number(cause.errcode) & 0xff : 0;
    const trouble = TROUBLE[code];
    throw trouble === undefined ? cause : diskTrouble(cause, trouble);
  }
}

export const diskTrouble = (cause: unknown, trouble = "could not be written to the disk"): WeirError =>
  new WeirError("unavailable", `The object's database ${trouble}.`, { retryAfterSeconds: 5, cause });
