import { resolve } from "node:path";
import type { Profile } from "../config.ts";
import type { Egress } from "../egress/egress.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Db } from "../stores/database.ts";
import type { Admit, Holds, UsageOf } from "./admission.ts";
import type { Alarm } from "./alarms/alarm.ts";
import { Alarms } from "./alarms/alarms.ts";
import { deleteAlarm, getAlarm, setAlarm, type AlarmTime } from "./alarms/set-alarm.ts";
import { Awake } from "./awake.ts";
import type { Address, CeilingOf, StateContext } from "./context.ts";
import { Deletions } from "./deletions.ts";
import { deleteValue } from "./delete-value.ts";
import { makeFolder } from "./durable-file.ts";
import type { Namespace } from "./namespace.ts";
import { Namespaces, type NamespaceSummary, type Rotated, type WithSecret } from "./namespaces.ts";
import type { Entry } from "./object-database.ts";
import { ObjectFiles } from "./object-files.ts";
import type { ObjectEntry } from "./object-index.ts";
import { OwnerLock } from "./owner-lock.ts";
import type { Page, PageRequest } from "./page.ts";
import { putValue } from "./put-value.ts";
import { getValue, listKeys, listObjects } from "./read-objects.ts";
import { recountObjects, type RecountPage, type RecountWalk, type Reconcile } from "./recount.ts";
import type { Socket } from "./rooms/room.ts";
import { Rooms, type Membership } from "./rooms/rooms.ts";
import { findService, upsertService, type Service } from "./service-store.ts";

export type { Address } from "./context.ts";
export type { Membership } from "./rooms/rooms.ts";
export type { Socket } from "./rooms/room.ts";

/** How often idle files are closed and interrupted deletions taken up, milliseconds. */
const SWEEP_MS = 30_000;
/** How often sockets and handlers are looked after, milliseconds. */
const TICK_MS = 250;

export interface StateOptions {
  /** The data plane's folder, created when missing; this process must be the only one that uses it. */
  folder: string;
  db: Db;
  /** For what a request asks for in its sender's name; `db` unless told. */
  walled?: Db;
  clock: Clock;
  admit: Admit;
  holds: Holds;
  usageOf: UsageOf;
  ceilingOf: CeilingOf;
  /** Where alarms may be delivered, and in whose words. */
  egress: Egress;
  profile: Profile;
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
  /** Delivers alarms that are due. */
  readonly alarms: Alarms;
  readonly #options: StateOptions;
  readonly #walled: Db;
  readonly #context: StateContext;
  readonly #deletions: Deletions;
  readonly #namespaces: Namespaces;
  readonly #awake: Awake;
  readonly #rooms: Rooms;
  readonly #timers: NodeJS.Timeout[] = [];
  #lock: OwnerLock | null = null;
  #sweeping: Promise<void> | null = null;

  constructor(options: StateOptions) {
    this.#options = options;
    const { admit, holds, usageOf, ceilingOf, clock, onTrouble, egress, profile } = options;
    this.#context = { files: new ObjectFiles(resolve(options.folder)), admit, holds, usageOf, clock, onTrouble };
    this.#walled = options.walled ?? options.db;
    this.#deletions = new Deletions(options.db, this.#walled, this.#context);
    this.#namespaces = new Namespaces({ ...options, db: this.#walled, context: this.#context, deletions: this.#deletions });
    this.#awake = new Awake(this.#context);
    this.#rooms = new Rooms(this.#context, this.#awake, ceilingOf);
    this.alarms = new Alarms(options.db, { ...this.#context, awake: this.#awake, egress, profile }, ceilingOf);
  }

  /** Takes the folder into possession; call it once, before the first operation. */
  async open(): Promise<void> {
    await makeFolder(this.#context.files.root);
    this.#lock = new OwnerLock(this.#context.files.root);
    await this.#deletions.open();
    this.#sweep();
    this.#timers.push(
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#tick(), TICK_MS),
    );
    for (const timer of this.#timers) timer.unref();
  }

  /** Closes every file. Stop sending operations first. */
  async close(): Promise<void> {
    await Promise.all([this.alarms.stop(), this.#rooms.close()]);
    await this.#awake.close();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#deletions.close();
    await this.#sweeping;
    this.#context.files.close();
    this.#lock?.release();
    this.#lock = null;
  }

  createNamespace(account: string, service: string, name: string): Promise<WithSecret<NamespaceSummary>> {
    return this.#namespaces.create(account, service, name);
  }

  /** Gives a namespace a new secret; its alarms are signed with the old one too for another `previousSeconds`. */
  rotateSecret({ account, service, namespace }: NamespaceReference, previousSeconds: number): Promise<Rotated> {
    return this.#namespaces.rotateSecret(account, service, namespace, previousSeconds);
  }

  listNamespaces(account: string, service: string, page: PageRequest): Promise<Page<NamespaceSummary>> {
    return this.#namespaces.list(account, service, page);
  }

  async deleteNamespace({ account, service, namespace }: NamespaceReference): Promise<Namespace> {
    const removed = await this.#namespaces.remove(account, service, namespace);
    this.#rooms.end(removed);
    return removed;
  }

  async listObjects(reference: NamespaceReference, page: PageRequest): Promise<Page<ObjectEntry>> {
    return listObjects(this.#context, await this.#namespace(reference), page);
  }

  /** The object a reference means. Throws `not_found` where its namespace is not there. */
  async address(reference: ObjectReference): Promise<Address> {
    return { namespace: await this.#namespace(reference), object: reference.object };
  }

  async listKeys(reference: ObjectReference, page: PageRequest): Promise<Page<Entry>> {
    return listKeys(this.#context, await this.address(reference), page);
  }

  async get(reference: ObjectReference, key: string): Promise<{ address: Address; entry: Entry; value: Uint8Array }> {
    const address = await this.address(reference);
    return { address, ...(await getValue(this.#context, address, key)) };
  }

  async put(reference: ObjectReference, key: string, value: Uint8Array): Promise<{ address: Address; entry: Entry }> {
    const address = await this.address(reference);
    return { address, entry: await putValue(this.#context, address, key, value) };
  }

  /** Answers whether there was a value to delete. */
  async delete(reference: ObjectReference, key: string): Promise<{ address: Address; deleted: boolean }> {
    const address = await this.address(reference);
    return { address, deleted: await deleteValue(this.#context, address, key) };
  }

  async setAlarm(reference: ObjectReference, time: AlarmTime): Promise<{ address: Address; alarm: Alarm }> {
    const address = await this.address(reference);
    return { address, alarm: await setAlarm(this.#context, this.#options.db, address, time) };
  }

  async getAlarm(reference: ObjectReference): Promise<{ address: Address; alarm: Alarm | null }> {
    const address = await this.address(reference);
    return { address, alarm: await getAlarm(this.#context, this.#options.db, address) };
  }

  /** Answers whether there was an alarm to delete. */
  async deleteAlarm(reference: ObjectReference): Promise<{ address: Address; deleted: boolean }> {
    const address = await this.address(reference);
    return { address, deleted: await deleteAlarm(this.#context, this.#options.db, address) };
  }

  /** Lets a WebSocket into the room of its object. */
  join(address: Address, socket: Socket): Promise<Membership> {
    return this.#rooms.join(address, socket);
  }

  /** Closes the rooms and counts their time; nobody can join any more. */
  closeRooms(): Promise<void> {
    return this.#rooms.close();
  }

  /** Counts the time of everything that is awake, up to now. */
  settleTime(): Promise<void> {
    return this.#awake.settle();
  }

  /** The service's settings; null when it was never set up. Not metered: it is no State call. */
  getService(account: string, service: string): Promise<Service | null> {
    return findService(this.#walled, account, service);
  }

  async putService(account: string, service: string, change: { workerUrl?: string | null | undefined }): Promise<Service> {
    const set = await upsertService(this.#walled, account, service, change, this.#options.clock.now());
    await this.alarms.wakeService(account, service);
    return set;
  }

  /** Measures the next objects of an account and reconciles each within its turn. Not metered. */
  recount<D>(walk: RecountWalk, reconcile: Reconcile<D>): Promise<RecountPage<D>> {
    return recountObjects(this.#context, this.#options.db, walk, reconcile);
  }

  #namespace({ account, service, namespace }: NamespaceReference): Promise<Namespace> {
    return this.#namespaces.resolve(account, service, namespace);
  }

  #tick(): void {
    this.#awake.tick();
    this.#rooms.tick();
    this.alarms.tick();
  }

  #sweep(): void {
    this.#sweeping ??= this.#deletions
      .sweep()
      .then(() => this.#context.files.closeIdle())
      .catch(this.#options.onTrouble)
      .finally(() => (this.#sweeping = null));
  }
}
