import { existsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { notFound } from "../kernel/errors.ts";
import { createDurably, makeFolder, removeDurably } from "./durable-file.ts";
import { indexPath, namespaceFolder, objectPath } from "./layout.ts";
import { namespaceId, type Namespace } from "./namespace.ts";
import { announcedObjects, announceObject, correctObject, forgetObject, INDEX_SCHEMA, recordObject } from "./object-index.ts";
import { ObjectLanes } from "./object-lanes.ts";
import { OpenFiles } from "./open-files.ts";
import { storageBytes, translated, type SqliteFile } from "./sqlite-file.ts";

const OBJECTS_OPEN_MAX = 256;
const INDEXES_OPEN_MAX = 64;
/** An open file that nobody used for this long is closed, milliseconds. */
const IDLE_MS = 60_000;
/** Announced names looked at when an index is opened; more than this many were never in flight at once. */
const ANNOUNCED_MAX = 10_000;
/** Namespaces deleted by this process and remembered, so that a caller who looked the name up before finds it gone. */
const DELETED_REMEMBERED_MAX = 100_000;

/** The object's database while it is the caller's turn; null for an object that was never written. */
export type ObjectTask<T> = (file: SqliteFile | null) => T | Promise<T>;

/** Objects and namespace indexes on disk: which file, whose turn, open or closed, listed or not. Decides nothing. */
export class ObjectFiles {
  readonly root: string;
  readonly #lanes = new ObjectLanes();
  readonly #objects = new OpenFiles({ openMax: OBJECTS_OPEN_MAX });
  readonly #indexes = new OpenFiles({ openMax: INDEXES_OPEN_MAX, schema: INDEX_SCHEMA });
  readonly #creating = new Set<string>();
  readonly #deleted = new Set<string>();

  /** `root` is the data plane's folder, absolute. */
  constructor(root: string) {
    this.root = root;
  }

  /** Runs `task` when it is its turn on the object. `bytes` is what the operation holds in memory while it waits. */
  run<T>(namespace: Namespace, object: string, bytes: number, task: ObjectTask<T>): Promise<T> {
    const path = objectPath(this.root, namespace, object);
    return this.#lanes.run(path, bytes, async () => {
      this.#mustLive(namespace);
      if (!this.#objects.has(path) && !existsSync(path)) return task(null);
      return this.#objects.use(path, async (file, fresh) => {
        if (fresh) await this.#correct(namespace, object, file);
        return task(file);
      });
    });
  }

  /** Runs `task` when it is its turn on the object, without its database. */
  inTurn<T>(namespace: Namespace, object: string, task: () => Promise<T>): Promise<T> {
    return this.#lanes.run(objectPath(this.root, namespace, object), 0, async () => {
      this.#mustLive(namespace);
      return task();
    });
  }

  /** Runs `task` on the namespace's index, which must not await; answers `none` where nothing was ever written. */
  async index<T>(namespace: Namespace, none: T, task: (index: SqliteFile) => T): Promise<T> {
    const path = indexPath(this.root, namespace);
    if (!this.#indexes.has(path) && !existsSync(path)) return none;
    return this.#useIndex(namespace, task);
  }

  /** Runs `task` on the namespace's index, which is made where nothing was ever written. */
  async noteInIndex(namespace: Namespace, task: (index: SqliteFile) => void): Promise<void> {
    this.#mustLive(namespace);
    await makeFolder(namespaceFolder(this.root, namespace));
    await this.#useIndex(namespace, (index) => {
      this.#mustLive(namespace);
      task(index);
    });
  }

  /** Puts a new object's file on disk and lists it. The caller holds the object's turn. */
  async create(namespace: Namespace, object: string, image: Uint8Array, now: number): Promise<void> {
    const path = objectPath(this.root, namespace, object);
    this.#creating.add(path);
    try {
      await makeFolder(namespaceFolder(this.root, namespace));
      await this.#useIndex(namespace, async (index) => {
        this.#mustLive(namespace);
        translated(() => announceObject(index, object));
        await index.flush();
      });
      await createDurably(path, image);
      await this.#useIndex(namespace, (index) => recordObject(index, object, image.byteLength, now));
    } finally {
      this.#creating.delete(path);
    }
  }

  /** Takes an object off the disk, then off the index. The caller holds the object's turn, and no file of it. */
  async remove(namespace: Namespace, object: string): Promise<void> {
    const path = objectPath(this.root, namespace, object);
    this.#objects.evict(path);
    // Not flushed: until `removeFolder` is, a file that comes back after a loss of power is found and removed again.
    for (const file of [path, `${path}-wal`, `${path}.new`]) await rm(file, { force: true });
    await this.index(namespace, undefined, (index) => forgetObject(index, object));
  }

  /** Runs `task` when it is its turn on an object that is being deleted with its namespace. */
  runRemoval(namespace: Namespace, object: string, task: () => Promise<void>): Promise<void> {
    return this.#lanes.run(objectPath(this.root, namespace, object), 0, task);
  }

  /** From here on nothing in the namespace can be read or written by this process. */
  bar(namespace: Namespace): void {
    const [oldest] = this.#deleted;
    if (oldest !== undefined && this.#deleted.size >= DELETED_REMEMBERED_MAX) this.#deleted.delete(oldest);
    this.#deleted.add(namespaceFolder(this.root, namespace));
  }

  /** Takes `bar` back: the deletion did not happen. */
  unbar(namespace: Namespace): void {
    this.#deleted.delete(namespaceFolder(this.root, namespace));
  }

  /** True for a namespace that this process has deleted or is deleting. */
  barred(namespace: Namespace): boolean {
    return this.#deleted.has(namespaceFolder(this.root, namespace));
  }

  /** Removes what is left of a namespace without objects. */
  async removeFolder(namespace: Namespace): Promise<void> {
    this.#indexes.evict(indexPath(this.root, namespace));
    await removeDurably(namespaceFolder(this.root, namespace));
  }

  closeIdle(): void {
    this.#objects.closeIdle(IDLE_MS);
    this.#indexes.closeIdle(IDLE_MS);
  }

  /** Closes every file. Nothing may be in flight. */
  close(): void {
    this.#objects.closeIdle(0);
    this.#indexes.closeIdle(0);
  }

  #useIndex<T>(namespace: Namespace, task: (index: SqliteFile) => T | Promise<T>): Promise<T> {
    return this.#indexes.use(indexPath(this.root, namespace), async (index, fresh) => {
      if (fresh) this.#recover(namespace, index);
      return translated(() => task(index));
    });
  }

  /** After a crash: a file that appeared without being listed is listed, a name without a file is dropped. */
  #recover(namespace: Namespace, index: SqliteFile): void {
    for (const object of announcedObjects(index, ANNOUNCED_MAX)) {
      const path = objectPath(this.root, namespace, object);
      if (this.#creating.has(path)) continue;
      // A file that was never listed was never written again: it still has the size it was created with.
      const file = statSync(path, { throwIfNoEntry: false });
      if (file) recordObject(index, object, file.size, Math.floor(file.mtimeMs));
      else forgetObject(index, object);
    }
  }

  /** A crash between an object's commit and its note in the index leaves the note behind the truth; opening it mends that. */
  async #correct(namespace: Namespace, object: string, file: SqliteFile): Promise<void> {
    const bytes = translated(() => storageBytes(file));
    const changedAt = Math.floor(statSync(file.path).mtimeMs);
    await this.#useIndex(namespace, (index) => correctObject(index, object, bytes, changedAt));
  }

  #mustLive(namespace: Namespace): void {
    if (this.barred(namespace)) throw notFound(`Namespace ${namespaceId(namespace)}`);
  }
}
