import { resolve } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import type { Db } from "../stores/database.ts";
import type { Admit, UsageOf } from "./admission.ts";
import type { Address, StateContext } from "./context.ts";
import { Deletions } from "./deletions.ts";
import { deleteValue } from "./delete-value.ts";
import { makeFolder } from "./durable-file.ts";
import type { Namespace } from "./namespace.ts";
import { Namespaces, type ClassLimitOf, type NamespaceSummary } from "./namespaces.ts";
import type { Entry } from "./object-database.ts";
import { ObjectFiles } from "./object-files.ts";
import type { ObjectEntry } from "./object-index.ts";
import { OwnerLock } from "./owner-lock.ts";
import type { Page, PageRequest } from "./page.ts";
import { putValue } from "./put-value.ts";
import { getValue, listKeys, listObjects } from "./read-objects.ts";
import { recountObjects, type RecountPage, type RecountWalk, type Reconcile } from "./recount.ts";
import { findService, upsertService, type Service } from "./service-store.ts";

/** How often idle files are closed and interrupted deletions taken up, milliseconds. */
const SWEEP_MS = 30_000;

export interface StateOptions {
  /** The data plane's folder, created when missing; this process must be the only one that uses it. */
  folder: string;
  db: Db;
  clock: Clock;
  admit: Admit;
  usageOf: UsageOf;
  classLimitOf: ClassLimitOf;
  /** Told of what went wrong behind an answer, for the log. */
  onTrouble: (error: unknown) => void;
}

/** A namespace by its name or id, as a caller names it. */
export interface NamespaceReference {
  account: string;
  service: string;
  namespace: string;
}

export interface ObjectReference extends NamespaceReference {
  object: string;
}

/** The reference data plane. Names come checked (kernel/ids.ts); every call is counted, or denied, by the gate. */
export class State {
  readonly #options: StateOptions;
  readonly #context: StateContext;
  readonly #deletions: Deletions;
  readonly #namespaces: Namespaces;
  #lock: OwnerLock | null = null;
  #sweeper: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> | null = null;

  constructor(options: StateOptions) {
    this.#options = options;
    const { admit, usageOf, clock, onTrouble } = options;
    this.#context = { files: new ObjectFiles(resolve(options.folder)), admit, usageOf, clock, onTrouble };
    this.#deletions = new Deletions(options.db, this.#context);
    this.#namespaces = new Namespaces({ ...options, context: this.#context, deletions: this.#deletions });
  }

  /** Takes the folder into possession; call it once, before the first operation. */
  async open(): Promise<void> {
    await makeFolder(this.#context.files.root);
    this.#lock = new OwnerLock(this.#context.files.root);
    await this.#deletions.open();
    this.#sweep();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** Closes every file. Stop sending operations first. */
  async close(): Promise<void> {
    if (this.#sweeper) clearInterval(this.#sweeper);
    await this.#deletions.close();
    await this.#sweeping;
    this.#context.files.close();
    this.#lock?.release();
    this.#lock = null;
  }

  createNamespace(account: string, service: string, name: string): Promise<NamespaceSummary> {
    return this.#namespaces.create(account, service, name);
  }

  listNamespaces(account: string, service: string, page: PageRequest): Promise<Page<NamespaceSummary>> {
    return this.#namespaces.list(account, service, page);
  }

  deleteNamespace({ account, service, namespace }: NamespaceReference): Promise<Namespace> {
    return this.#namespaces.remove(account, service, namespace);
  }

  async listObjects(reference: NamespaceReference, page: PageRequest): Promise<Page<ObjectEntry>> {
    return listObjects(this.#context, await this.#namespace(reference), page);
  }

  async listKeys(reference: ObjectReference, page: PageRequest): Promise<Page<Entry>> {
    return listKeys(this.#context, await this.#address(reference), page);
  }

  async get(reference: ObjectReference, key: string): Promise<{ address: Address; entry: Entry; value: Uint8Array }> {
    const address = await this.#address(reference);
    return { address, ...(await getValue(this.#context, address, key)) };
  }

  async put(reference: ObjectReference, key: string, value: Uint8Array): Promise<{ address: Address; entry: Entry }> {
    const address = await this.#address(reference);
    return { address, entry: await putValue(this.#context, address, key, value) };
  }

  /** Answers whether there was a value to delete. */
  async delete(reference: ObjectReference, key: string): Promise<{ address: Address; deleted: boolean }> {
    const address = await this.#address(reference);
    return { address, deleted: await deleteValue(this.#context, address, key) };
  }

  /** The service's settings; null when it was never set up. Not metered: it is no State call. */
  getService(account: string, service: string): Promise<Service | null> {
    return findService(this.#options.db, account, service);
  }

  putService(account: string, service: string, change: { workerUrl?: string | null | undefined }): Promise<Service> {
    return upsertService(this.#options.db, account, service, change, this.#options.clock.now());
  }

  /** Measures the next objects of an account and reconciles each within its turn. Not metered. */
  recount<D>(walk: RecountWalk, reconcile: Reconcile<D>): Promise<RecountPage<D>> {
    return recountObjects(this.#context, this.#options.db, walk, reconcile);
  }

  #namespace({ account, service, namespace }: NamespaceReference): Promise<Namespace> {
    return this.#namespaces.resolve(account, service, namespace);
  }

  async #address(reference: ObjectReference): Promise<Address> {
    return { namespace: await this.#namespace(reference), object: reference.object };
  }

  #sweep(): void {
    this.#sweeping ??= this.#deletions
      .sweep()
      .then(() => this.#context.files.closeIdle())
      .catch(this.#options.onTrouble)
      .finally(() => (this.#sweeping = null));
  }
}
