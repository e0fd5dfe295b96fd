import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { sleep } from "../kernel/clock.ts";
import { notFound } from "../kernel/errors.ts";
import type { Db } from "../stores/database.ts";
import type { StateContext } from "./context.ts";
import { createDurably, isMissing, removeDurably } from "./durable-file.ts";
import { tombstoneFolder, tombstonePath } from "./layout.ts";
import { namespaceId, type Namespace } from "./namespace.ts";
import { endNamespace, isLive } from "./namespace-store.ts";
import { purgeNamespace } from "./purge.ts";
import { busy } from "./waiting-line.ts";

/** How long a caller waits for a purge, milliseconds; a million objects take longer and are purged after the answer. */
const PURGE_WAIT_MS = 10_000;

const tombstoneSchema = z.strictObject({
  account: z.string(),
  number: z.int().positive(),
  service: z.string(),
  name: z.string(),
  createdAt: z.int(),
});

/**
 * The deletion of namespaces, through crashes: a tombstone on disk, then the end of the row in Postgres (the
 * namespace is gone), then its objects, one by one, then the tombstone. Whatever is interrupted is taken up by `sweep`.
 *
 * A name can be used again only when its last purge is done: the gate knows an object by its names, and the purge's
 * "now 0 bytes" must not hit an object of the same name in a new namespace.
 */
export class Deletions {
  readonly #db: Db;
  readonly #walled: Db;
  readonly #context: StateContext;
  readonly #stopping = new AbortController();
  /** By tombstone path: the purges that run, and the deletions that Postgres has not confirmed. */
  readonly #purges = new Map<string, Promise<void>>();
  readonly #unconfirmed = new Set<string>();
  /** By tombstone path: the names whose purge is not done. */
  readonly #pending = new Map<string, string>();

  /** `walled` for what a request asks for; a sweep looks after the namespaces of all accounts, whoever's request began it. */
  constructor(db: Db, walled: Db, context: StateContext) {
    this.#db = db;
    this.#walled = walled;
    this.#context = context;
  }

  /** Learns what an earlier life left undone, before anything is served. */
  async open(): Promise<void> {
    for (const namespace of await this.#tombstones()) {
      this.#context.files.bar(namespace);
      this.#pending.set(this.#path(namespace), nameOf(namespace));
    }
  }

  /** Deletes the namespace. Throws `not_found` when somebody else did first. */
  async remove(namespace: Namespace): Promise<void> {
    const path = this.#path(namespace);
    if (this.#unconfirmed.has(path) || this.#purges.has(path)) throw gone(namespace);
    this.#unconfirmed.add(path);
    let ended: boolean;
    try {
      this.#context.files.bar(namespace);
      this.#pending.set(path, nameOf(namespace));
      await createDurably(path, JSON.stringify(namespace));
      ended = await endNamespace(this.#walled, namespace, this.#context.clock.now());
    } finally {
      // On failure nobody knows whether it ended: the namespace stays barred until a sweep has asked Postgres.
      this.#unconfirmed.delete(path);
    }
    await within(PURGE_WAIT_MS, this.#purge(namespace));
    if (!ended) throw gone(namespace);
  }

  /** Resolves when no purge of the namespace's name is left; throws `unavailable` after a bounded wait. */
  async settled(namespace: Namespace): Promise<void> {
    const paths = this.#pendingOf(nameOf(namespace));
    if (paths.length === 0) return;
    // After a start the sweep may not have come to it yet.
    const running = paths.map((path) => this.#purges.get(path));
    // A purge that another sweep has begun meanwhile is passed over by ours, and waited for here.
    const begun = (): Promise<unknown> => Promise.all(paths.map((path) => this.#purges.get(path) ?? Promise.resolve()));
    await within(PURGE_WAIT_MS, Promise.all([...running, this.sweep()]).then(begun));
    if (this.#pendingOf(nameOf(namespace)).length > 0) throw busy(`A namespace ${namespace.name} is still being deleted`);
  }

  /** Takes up every deletion that was interrupted. One failure does not keep the others waiting. */
  async sweep(): Promise<void> {
    for (const namespace of await this.#tombstones()) {
      if (this.#stopping.signal.aborted) return;
      const path = this.#path(namespace);
      if (this.#unconfirmed.has(path) || this.#purges.has(path)) continue;
      try {
        if (await isLive(this.#db, namespace)) await this.#callOff(namespace);
        else await this.#purge(namespace);
      } catch (error) {
        this.#context.onTrouble(error);
      }
    }
  }

  /** Stops at the next object; what is left waits for the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#purges.values());
  }

  /** Never rejects: a purge that fails is taken up by the next sweep. */
  #purge(namespace: Namespace): Promise<void> {
    const path = this.#path(namespace);
    const running = this.#purges.get(path);
    if (running) return running;
    const purge = this.#finish(namespace, path)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#context.onTrouble(error);
      })
      .finally(() => this.#purges.delete(path));
    this.#purges.set(path, purge);
    return purge;
  }

  async #finish(namespace: Namespace, path: string): Promise<void> {
    await purgeNamespace(this.#context, namespace, this.#stopping.signal);
    await removeDurably(path);
    this.#pending.delete(path);
  }

  /** The deletion never reached Postgres and was never answered: the namespace lives on. */
  async #callOff(namespace: Namespace): Promise<void> {
    await removeDurably(this.#path(namespace));
    this.#pending.delete(this.#path(namespace));
    this.#context.files.unbar(namespace);
  }

  async #tombstones(): Promise<Namespace[]> {
    const folder = tombstoneFolder(this.#context.files.root);
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const whole = names.filter((name) => name.endsWith(".json"));
    const found = await Promise.all(whole.map((name) => readTombstone(join(folder, name))));
    return found.filter((namespace) => namespace !== null);
  }

  #pendingOf(name: string): string[] {
    return [...this.#pending].filter(([, pending]) => pending === name).map(([path]) => path);
  }

  #path(namespace: Namespace): string {
    return tombstonePath(this.#context.files.root, namespace);
  }
}

/** Null when a purge finished between the listing and now. */
async function readTombstone(path: string): Promise<Namespace | null> {
  try {
    return tombstoneSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

const nameOf = (namespace: Namespace): string => `${namespace.account}/${namespace.service}/${namespace.name}`;

const gone = (namespace: Namespace) => notFound(`Namespace ${namespaceId(namespace)}`);

/** Waits for `work`, at most `ms`; the work goes on. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  await Promise.race([work, sleep(ms, enough.signal)]);
  enough.abort();
}
