import { openKeyRing, type KeyRing } from "./accounts/key-ring.ts";
import { defaultCatalog, mergeCatalog, withShippedOperations } from "./catalog/parse.ts";
import { applyCatalog, loadCatalog, type CatalogVersion } from "./catalog/catalog-store.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { CatalogHistory } from "./catalog/history-store.ts";
import { Credits } from "./credits/credits.ts";
import { examine } from "./doctor/examine.ts";
import type { Finding } from "./doctor/finding.ts";
import { readiness, type Readiness } from "./doctor/readiness.ts";
import { vitals, type Vitals } from "./doctor/vitals.ts";
import { createCounters } from "./counters/counters.ts";
import { AccountLoader, type GateStores } from "./gate/account-loader.ts";
import type { ReckonCredits } from "./gate/credit-limits.ts";
import { createGate, type Gate } from "./gate/gate.ts";
import { Booking } from "./engine/booking.ts";
import type { EngineOptions } from "./engine/options.ts";
import { observedGate, type DecisionObserver } from "./gate/observe.ts";
import { correct } from "./gate/correct.ts";
import { DenialLog } from "./gate/denial-log.ts";
import { reclaim } from "./gate/reclaim.ts";
import { recount, type Difference, type MeasuredObject } from "./gate/recount.ts";
import { Granter } from "./gate/granter.ts";
import { LimitChanges } from "./gate/limit-changes.ts";
import { EventRecorder, type EventSender, type RecordedEvents } from "./gate/record-events.ts";
import { creditedMonth } from "./invoices/credited-month.ts";
import { Invoicing } from "./invoices/invoicing.ts";
import { every, type Clock } from "./kernel/clock.ts";
import { randomBase62 } from "./kernel/ids.ts";
import type { Correction, CorrectionRequest } from "./ledger/correction.ts";
import { checkInvariants, type CheckOptions, type CheckResult } from "./ledger/invariants.ts";
import { ObjectRequests } from "./ledger/object-requests.ts";
import { Recall } from "./ledger/recall.ts";
import type { RollUpReport } from "./ledger/roll-up.ts";
import type { Reclaimed } from "./ledger/stranded-store.ts";
import { Dispatcher } from "./notifications/dispatcher.ts";
import { ThresholdTeller } from "./notifications/tell-reached.ts";
import { Payments } from "./payments/payments.ts";
import { UnbookedTotals } from "./ledger/unbooked.ts";
import { KEEP_ALL, LedgerUpkeep } from "./ledger/upkeep.ts";
import { openPostgres, type Db, type Postgres } from "./stores/database.ts";
import { COMMAND_TIMEOUT_MS } from "./stores/redis.ts";
import { openRedisServers, type RedisServers } from "./stores/redis-servers.ts";
import { capReports, usageFigures, usageReport, type CapReport, type UsageFigures, type UsageReport } from "./usage/report.ts";

/** Background work may wait longer than a check: nobody's write hangs on it. */
const BACKGROUND_TIMEOUT_MS = 5_000;
const START_TIMEOUT_MS = 10_000;
/** How long a catalogue applied by another process may go unnoticed. */
const CATALOG_POLL_MS = 2_000;
/** How often this process books its own copies; the roll-up has usually been there before. */
const OWN_BOOKING_MS = 30_000;
/** How soon a Redis that did not answer hears of events that were counted meanwhile. */
const RETELL_MS = 1_000;

/** Weir without its front doors: everything `http/`, `jobs/`, `state/` and a library user call. */
export class Engine {
  readonly clock: Clock;
  /** Postgres as the house sees it, and as whoever sent the present request may (stores/database.ts): routes use the latter. */
  readonly db: Db;
  readonly walled: Db;
  /** As `walled`, for what only reads and reads much: of a replica where there is one. */
  readonly reads: Db;
  readonly gate: Gate;
  readonly limits: LimitChanges;
  /** The keys in use. */
  readonly keys: KeyRing;
  /** The latest denials of each account, for people to see. */
  readonly denials: DenialLog;
  /** Delivers notifications. */
  readonly outbox: Dispatcher;
  /** The versions of the catalogue: what a month is priced by. */
  readonly catalogs: CatalogHistory;
  readonly invoices: Invoicing;
  readonly objectRequests: ObjectRequests;
  readonly credits: Credits;
  readonly payments: Payments;
  readonly upkeep: LedgerUpkeep;
  readonly #events: EventRecorder;
  readonly #stores: GateStores;
  readonly #background: GateStores;
  readonly #loader: AccountLoader;
  readonly #recall: Recall;
  readonly #booking: Booking;
  readonly #redis: RedisServers[];
  readonly #closePostgres: () => Promise<void>;
  readonly #onTrouble: (error: unknown) => void;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #observers: DecisionObserver[] = [];
  #version: CatalogVersion;
  #closed = false;

  constructor(options: EngineOptions, postgres: Postgres, redis: { hot: RedisServers; background: RedisServers }, version: CatalogVersion) {
    const prefix = options.redisPrefix ?? "weir:";
    this.clock = options.clock;
    this.db = postgres.db;
    this.walled = postgres.walled;
    this.reads = postgres.reads;
    this.upkeep = new LedgerUpkeep(this.db, options.databaseUrl, this.clock, options.retention ?? KEEP_ALL);
    this.#closePostgres = () => postgres.close();
    this.#redis = [redis.hot, redis.background];
    this.#onTrouble = options.onTrouble ?? (() => {});
    this.#version = version;
    this.keys = openKeyRing(postgres.db, options.databaseUrl, this.#onTrouble);
    this.outbox = new Dispatcher(postgres.db, options.clock, options.outbox);
    this.catalogs = new CatalogHistory(postgres.db);
    const book = (account: string | null): Promise<unknown> => (account === null ? this.#booking.all() : this.bookAccount(account));
    this.invoices = new Invoicing({ db: postgres.walled, catalogs: this.catalogs }, { graceHours: options.invoiceGraceHours, book });
    this.credits = new Credits(postgres.walled, (account) => this.#loader.refresh(account, this.clock.now()));
    this.payments = new Payments(postgres.db, options.clock, options.payments);
    const unbooked = new UnbookedTotals(randomBase62(12));
    this.#recall = new Recall(postgres.aside, unbooked.source, () => this.#booking.forRecall(postgres.aside));
    const { tellCrossings } = new ThresholdTeller(postgres.db, this.catalogs);
    this.objectRequests = new ObjectRequests(postgres.db, unbooked.source, this.#onTrouble);
    const copies = { unbooked, objectRequests: this.objectRequests };
    const own = { db: postgres.db, ...copies, recall: this.#recall, catalog: this, storageMeter: STORAGE_METER, tellCrossings };
    this.#stores = { ...own, counters: createCounters(redis.hot, prefix, options.hotAccounts) };
    this.#background = { ...own, counters: createCounters(redis.background, prefix, options.hotAccounts) };
    this.#loader = new AccountLoader(this.#stores);
    const { clock, objectRequests } = this;
    this.#booking = new Booking({ stores: this.#background, loader: this.#loader, objectRequests, clock, onTrouble: this.#onTrouble });
    this.denials = new DenialLog(this.#background.counters);
    this.#observers.push(this.denials);
    const reckon: ReckonCredits = async (account, meters, now) => {
      await this.bookAccount(account);
      return creditedMonth({ db: this.db, catalogs: this.catalogs }, account, meters, now);
    };
    const gate = createGate(this.#stores, this.#loader, (event, now) => this.#events.record([event], { account: null }, now), reckon);
    this.gate = observedGate(gate, this.#observers);
    this.limits = new LimitChanges(this.#onBehalf, this.#loader, new Granter(postgres.db, this.#stores.counters));
    this.#events = new EventRecorder(this.#stores, this.#loader, (change, now) => this.gate.force(change, now));
    // What the lost incarnation held is in our copies: Postgres gets it before anything else happens.
    redis.hot.onDoubt(() => unbooked.renew());
    redis.hot.onRunChange(() => void this.bookOwn().catch(this.#onTrouble));
    this.#every(CATALOG_POLL_MS, () => this.#pollCatalog());
    this.#every(OWN_BOOKING_MS, () => this.bookOwn());
    this.#every(RETELL_MS, async () => void (await Promise.all([this.#events, this.gate.leases].map((o) => o.retell(this.clock.now())))));
  }

  /** The stores, for what a request asks for in its sender's name. */
  get #onBehalf(): GateStores {
    return { ...this.#stores, db: this.walled };
  }

  /** The catalogue in force. */
  get catalog(): Catalog {
    return this.#version.catalog;
  }

  /** The same, with its version. */
  get inForce(): CatalogVersion {
    return this.#version;
  }

  get version(): number {
    return this.#version.version;
  }

  /** Merges `patch` into the catalogue (products, meters, operations, plans by key) and puts the result into force. */
  async applyCatalog(patch: unknown): Promise<CatalogVersion & { applied: boolean }> {
    const applied = await applyCatalog(this.walled, mergeCatalog(this.catalog, patch), this.clock.now());
    this.#version = applied;
    return applied;
  }

  /** Everything an account has used, is lent and has left, including every answered check. */
  usage(account: string): Promise<UsageReport> {
    const stores = { ...this.#onBehalf, catalogs: this.catalogs, book: (of: string) => this.bookAccount(of) };
    return usageReport(stores, this.#loader, account, this.clock.now());
  }

  /** The same without the bill and without a look ahead. */
  usageFigures(account: string): Promise<UsageFigures> {
    return usageFigures(this.#onBehalf, this.#loader, account, this.clock.now());
  }

  caps(account: string): Promise<CapReport[]> {
    return capReports(this.#onBehalf, this.#loader, account, this.clock.now());
  }

  /** Counts usage after the fact: CloudEvents, each once by source and id. What is answered is durable and in `usage`. */
  recordEvents(events: readonly unknown[], sender: EventSender): Promise<RecordedEvents> {
    return this.#events.record(events, sender, this.clock.now());
  }

  /** Appends a correction of a counter, in force for the next check. `by` is the id of the operator's key. */
  correct(account: string, request: CorrectionRequest, by: string): Promise<Correction> {
    return correct(this.#onBehalf, this.#loader, account, request, { by, now: this.clock.now() });
  }

  /** Takes measured sizes of objects for the truth; answers those that differed. */
  recount(account: string, objects: readonly MeasuredObject[]): Promise<Difference[]> {
    return recount(this.#stores, this.#loader, (request, now) => this.gate.force(request, now), account, objects, this.clock.now());
  }

  /** Frees stranded budget, on the operator's word that the Redis it was lent to is gone for good (docs/decisions/0007). */
  reclaim(account: string): Promise<Reclaimed[]> {
    return reclaim(this.#stores, this.#loader, account, this.clock.now());
  }

  /** The rows that violate an invariant of the ledger, check by check. */
  checkInvariants(options: CheckOptions = {}): Promise<CheckResult[]> {
    return checkInvariants(this.db, this.clock.now(), options);
  }

  /** What the operator should know: stores, roll-up, stranded budget, invariants. A store that is away is a finding. */
  examine(): Promise<Finding[]> {
    return examine(this.#background, this.upkeep, this.clock);
  }

  /** Books all that Redis and this process hold of one account; where Redis says that nothing waits, that is nothing. */
  bookAccount(account: string): Promise<void> {
    return this.#booking.account(account);
  }

  /** Books what Redis holds. Any process, any number of times. */
  rollUp(): Promise<RollUpReport> {
    return this.#booking.rollUp();
  }

  /** Books this process' own copies of what it acknowledged. */
  bookOwn(): Promise<void> {
    return this.#booking.own();
  }

  /** Makes this process known to the others; before that it must acknowledge nothing. */
  join(): Promise<void> {
    return this.#recall.join(this.#onTrouble);
  }

  /** Whether requests can be answered now, and what waits to be rolled up. Never throws. */
  readiness(): Promise<Readiness> {
    return readiness(this.#background, this.clock.now());
  }

  /** From here on tells `observer` of every check. */
  observe(observer: DecisionObserver): void {
    this.#observers.push(observer);
  }

  /** What an operator's dashboards show. Never throws: what a store cannot tell now is null. */
  vitals(): Promise<Vitals> {
    return vitals(this.#background, this.clock.now());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Books what it can and closes the stores. Stop sending checks first. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.outbox.stop();
    await this.rollUp().catch(this.#onTrouble);
    await this.bookOwn().catch(this.#onTrouble);
    await this.#loader.closeEpochs(this.clock.now()).catch(this.#onTrouble);
    await this.#recall.leave().catch(this.#onTrouble);
    await this.keys.close().catch(this.#onTrouble);
    await Promise.all(this.#redis.map((c) => c.close()));
    await this.#closePostgres();
  }

  async #pollCatalog(): Promise<void> {
    const newest = await loadCatalog(this.db);
    if (newest && newest.version > this.#version.version) this.#version = newest;
  }

  #every(ms: number, work: () => Promise<void>): void {
    this.#timers.push(every(ms, work, this.#onTrouble));
  }
}

/** The gauge that `storageBytes` of a check moves. */
export const STORAGE_METER = "state_sqlite_storage_bytes";

/** Connects to the stores (migrated already), seeds the catalogue where there is none, and answers the engine. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const postgres = openPostgres(options.databaseUrl, options.database);
  const hot = openRedisServers(options.redisUrl, { commandTimeoutMs: options.redisTimeoutMs ?? COMMAND_TIMEOUT_MS });
  const background = openRedisServers(options.redisUrl, { commandTimeoutMs: BACKGROUND_TIMEOUT_MS });
  try {
    await Promise.all([hot.ready(START_TIMEOUT_MS), background.ready(START_TIMEOUT_MS), postgres.ready()]);
    const stored = await loadCatalog(postgres.db);
    const catalog = stored ? withShippedOperations(stored.catalog) : defaultCatalog();
    const version = await applyCatalog(postgres.db, catalog, options.clock.now());
    const engine = new Engine(options, postgres, { hot, background }, version);
    await engine.payments.open();
    await engine.upkeep.preparePartitions();
    if (options.joins !== false) await engine.join();
    return engine;
  } catch (error) {
    await Promise.all([hot.close(), background.close()]);
    await postgres.close();
    throw error;
  }
}
