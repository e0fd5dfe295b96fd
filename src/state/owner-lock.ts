import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * One process owns a State folder: turns and caches are held in its memory. The lock is SQLite's on a file of its own,
 * so the system drops it with the process, however that ends; no stale file keeps the next start out.
 */
export class OwnerLock {
  readonly #database: DatabaseSync;

  /** Throws a sentence for the operator when another process owns `root`. */
  constructor(root: string) {
    this.#database = new DatabaseSync(join(root, "owner.sqlite"), { timeout: 0 });
    try {
      this.#database.exec("pragma locking_mode = exclusive; begin exclusive");
    } catch (cause) {
      this.#database.close();
      throw new Error(`Another process is using the State folder ${root}. Stop it, or give this one a folder of its own.`, { cause });
    }
  }

  release(): void {
    this.#database.close();
  }
}
