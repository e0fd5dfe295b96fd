import { monotonicMs } from "../kernel/clock.ts";
import { SqliteFile } from "./sqlite-file.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Operations that may wait for an open file, and for how long (ms). */
const WAITING_MAX = 10_000;
const WAIT_MS_MAX = 10_000;

interface OpenFile {
  file: SqliteFile;
  users: number;
  usedAtMs: number;
}

export interface OpenFilesOptions {
  /** Most files open at once; each costs two descriptors and up to 2 MB of cache. */
  openMax: number;
  /** Created with a file that does not exist; empty for files that are never created by opening. */
  schema?: string;
}

/**
 * The open SQLite files: least recently used first to close, never one in use. Callers hold a slot while they use a
 * file, so whenever one more must be opened at the bound, at least one of the open ones is idle.
 */
export class OpenFiles {
  // In order of use: a Map keeps insertion order, and every use inserts anew.
  readonly #open = new Map<string, OpenFile>();
  readonly #slots: WaitingLine;
  readonly #options: OpenFilesOptions;

  constructor(options: OpenFilesOptions) {
    this.#options = options;
    this.#slots = new WaitingLine({ slots: options.openMax, waitingMax: WAITING_MAX, waitMsMax: WAIT_MS_MAX, what: "The data plane" });
  }

  get size(): number {
    return this.#open.size;
  }

  has(path: string): boolean {
    return this.#open.has(path);
  }

  /** Lends the file at `path` to `task`; `fresh` says that it was opened for it. */
  async use<T>(path: string, task: (file: SqliteFile, fresh: boolean) => T | Promise<T>): Promise<T> {
    await this.#slots.enter();
    try {
      const fresh = !this.#open.has(path);
      const entry = this.#lend(path);
      try {
        return await task(entry.file, fresh);
      } finally {
        entry.users -= 1;
        entry.usedAtMs = monotonicMs();
      }
    } finally {
      this.#slots.leave();
    }
  }

  /** Closes the file at `path`, so that it can be removed or opened anew. Nobody may be using it. */
  evict(path: string): void {
    const entry = this.#open.get(path);
    if (!entry) return;
    if (entry.users > 0) throw new Error(`${path} is in use and cannot be closed`);
    this.#open.delete(path);
    entry.file.close();
  }

  /** Closes what nobody has used for `idleMs`. */
  closeIdle(idleMs: number): void {
    const before = monotonicMs() - idleMs;
    for (const [path, entry] of this.#open) {
      if (entry.users === 0 && entry.usedAtMs <= before) this.evict(path);
    }
  }

  #lend(path: string): OpenFile {
    let entry = this.#open.get(path);
    if (entry) {
      this.#open.delete(path);
    } else {
      this.#makeRoom();
      entry = { file: new SqliteFile(path, this.#options.schema), users: 0, usedAtMs: monotonicMs() };
    }
    this.#open.set(path, entry);
    entry.users += 1;
    return entry;
  }

  #makeRoom(): void {
    for (const [path, entry] of this.#open) {
      if (this.#open.size < this.#options.openMax) return;
      if (entry.users === 0) this.evict(path);
    }
  }
}
