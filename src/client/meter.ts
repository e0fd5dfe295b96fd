import { AccountHandle } from "./account-handle.ts";
import { AccountState, spendAt } from "./account-state.ts";
import { Api } from "./api.ts";
import { Arena, spend, unspend } from "./arena.ts";
import { systemClock } from "./clock.ts";
import { CLOCK_EVERY, Decider } from "./decider.ts";
import { Heart, type Pulse } from "./heart.ts";
import { forgiving, type Journal } from "./journal.ts";
import { Keeper } from "./keeper.ts";
import { DEFAULTS, type MeterOptions } from "./meter-options.ts";
import { newMetrics, type Metrics } from "./metrics.ts";
import { PlaceNames } from "./places.ts";
import { ALLOWED, type CheckRequest, type Decision, type MaybePromise, type Usage } from "./types.ts";
import { Unsettled } from "./unsettled.ts";
import { isQuantity, MeterNames, type Vector } from "./vector.ts";

/** Meters of one operation that is decided in memory by id. */
const METERS_MAX = 64;
/** Accounts looked at to find one that can be forgotten. */
const FORGET_LOOKS = 64;
/** A process that comes back settles under numbers that the killed one cannot have used. */
const RECOVERED_SEQ = 1_000_000;

/** Decides operations before they write: in memory out of leases, or by asking Weir. Made by `createMeter`. */
export class Meter {
  readonly #pulse: Pulse;
  readonly #arena = new Arena();
  readonly #rows = new Map<string, number>();
  /** By row. */
  readonly #states: (AccountState | undefined)[] = [];
  readonly #names = new MeterNames(this.#arena);
  readonly #places = new PlaceNames();
  readonly #operations: ReadonlyMap<string, Vector>;
  readonly #everyCheck: boolean;
  readonly #accountsMax: number;
  readonly #metrics: Metrics = newMetrics();
  readonly #keeper: Keeper;
  readonly #heart: Heart;
  readonly #decider: Decider;
  readonly #unsettled: Unsettled;
  readonly #journal: Journal | null;
  readonly #recovery: Promise<void>;
  /** The usage that is being read: what most calls of a program name in the same order, so each name is found where it was last time. */
  readonly #lastNames: string[] = [];
  readonly #offsets = new Int32Array(METERS_MAX);
  readonly #amounts = new Float64Array(METERS_MAX);

  constructor(options: MeterOptions) {
    const { clock = systemClock, ttlSeconds = null, holder = crypto.randomUUID() } = options;
    const { heartbeatMs, timeoutMs, requestsMax, accountsMax, leaseAfter } = { ...DEFAULTS, ...options };
    const metrics = this.#metrics;
    const meters = this.#names;
    const places = this.#places;
    const given = options.journal?.journal ?? null;
    const journal = given && forgiving(given, metrics);
    const everyCheck = options.journal?.every === "check" ? given : null;
    const fetch = options.fetch ?? ((...call) => globalThis.fetch(...call));
    const api = new Api({ url: options.url, key: options.key, clock, fetch, timeoutMs, inFlightMax: requestsMax });
    const pulse = { now: clock.now(), checks: 0 };
    const unsettled = new Unsettled(api, clock, metrics, journal);
    const keeper = new Keeper({ api, clock, meters, places, metrics, unsettled, journal, holder, ttlSeconds });
    const heart = new Heart({ pulse, clock, keeper, unsettled, heartbeatMs });
    this.#operations = new Map(Object.entries(options.operations ?? {}).map(([name, usage]) => [name, meters.vector(usage)]));
    this.#pulse = pulse;
    this.#journal = journal;
    this.#everyCheck = everyCheck !== null;
    this.#accountsMax = accountsMax;
    this.#unsettled = unsettled;
    this.#keeper = keeper;
    this.#heart = heart;
    this.#decider = new Decider({ api, clock, pulse, meters, places, metrics, keeper, heart, everyCheck, leaseAfter });
    this.#recovery = this.#recover();
  }

  /** Makes usage ready for a hot loop. Throws a `TypeError` for what is no usage. */
  vector(usage: Usage): Vector {
    return this.#names.vector(usage);
  }

  /** A handle on one account, in one service and namespace: for loops that check the same account again and again. */
  account(account: string, { service = "", namespace = "" }: { service?: string; namespace?: string } = {}): AccountHandle {
    const state = this.#stateOf(account) ?? new AccountState(account, this.#arena);
    return new AccountHandle(this.#decider, state, this.#places.numberOf(service, namespace));
  }

  /**
   * Decides one operation before it writes. Answers `ALLOWED` at once, and no promise, where a lease covers it; else a promise of Weir's
   * own decision, which rejects with `WeirUnavailable` (do not write) or `WeirRefused` (the request is wrong).
   */
  check(request: CheckRequest): MaybePromise<Decision> {
    const row = this.#rows.get(request.account);
    if (row === undefined || !isPlain(request)) return this.#slowly(request);
    const { cells, stride } = this.#arena;
    const from = row * stride;
    if (!((cells[from] as number) > this.#pulse.now)) return this.#slowly(request);
    if (request.usage === undefined) return this.#checkOperation(request, row);
    const count = this.#spend(request.usage, cells, from);
    if (count < 0) return this.#short(request, row);
    const place = this.#places.numberOf(request.service ?? "", request.namespace ?? "");
    if (cells[from + 1] !== place) this.#spentAt(row, place, this.#offsets, this.#amounts, count);
    if ((++this.#pulse.checks & CLOCK_EVERY) === 0 || this.#everyCheck) this.#afterSpend(row);
    return ALLOWED;
  }

  /** Resolves when what a killed process left in the journal has been told to Weir once, heard or not; it is told again until it is. */
  ready(): Promise<void> {
    return this.#recovery;
  }

  /** Settles all that was spent and gives back the rest. Answers how many leases Weir has not heard of: with a journal, the next start tells it. */
  async close(): Promise<{ unsettled: number }> {
    this.#decider.close();
    this.#heart.stop();
    const states = this.#heart.states();
    await Promise.all(states.flatMap((state) => (state.flight ? [state.flight] : [])));
    // One whose answer never came may stand for a lease: asked again, it is known, and can be given back.
    await Promise.all(states.filter((state) => state.pending?.kind === "grant").map((state) => this.#keeper.sync(state)));
    await Promise.all(states.map((state) => this.#keeper.release(state)));
    await this.#unsettled.flush();
    this.#journal?.close();
    return { unsettled: this.#unsettled.size };
  }

  /** What it has done, and holds now. */
  toJSON(): Metrics & { accounts: number; leases: number; unsettled: number } {
    const leases = this.#heart.states().filter((state) => state.lease !== null).length;
    return { ...this.#metrics, local: this.#pulse.checks, accounts: this.#rows.size, leases, unsettled: this.#unsettled.size };
  }

  async #recover(): Promise<void> {
    const left = this.#journal?.unended() ?? [];
    if (left.length > 0) this.#heart.start();
    const told = left.map(({ lease, seq, used, places }) => ({
      lease,
      body: { seq: seq + RECOVERED_SEQ, used, places, close: true as const },
    }));
    await Promise.all(told.map(({ lease, body }) => this.#unsettled.add(lease, body)));
  }

  /** Takes usage out of a row as it reads it: how many meters it named, or −1 when nothing was taken. */
  #spend(usage: Usage, cells: Float64Array, from: number): number {
    const names = this.#lastNames;
    const offsets = this.#offsets;
    const amounts = this.#amounts;
    let count = 0;
    for (const name in usage) {
      const amount = usage[name] as number;
      const offset = name === names[count] ? (offsets[count] as number) : this.#find(name, count);
      const rest = (cells[from + offset] as number) - amount;
      if (offset < 0 || !(rest >= 0) || !isQuantity(amount)) {
        unspend(cells, from, offsets, amounts, count);
        return -1;
      }
      cells[from + offset] = rest;
      amounts[count] = amount;
      count += 1;
    }
    return count;
  }

  /** Where a meter stands in a row; −1 for one that was never named, and for one too many. */
  #find(name: string, count: number): number {
    if (count >= METERS_MAX) return -1;
    const offset = this.#names.offsetOf(name);
    this.#lastNames[count] = name;
    this.#offsets[count] = offset;
    return offset;
  }

  #checkOperation(request: CheckRequest, row: number): MaybePromise<Decision> {
    const vector = this.#operations.get(request.operation ?? "");
    if (vector === undefined) return this.#slowly(request);
    const { offsets, amounts } = vector;
    const { cells, stride } = this.#arena;
    if (!spend(cells, row * stride, offsets, amounts, offsets.length)) return this.#short(request, row);
    const place = this.#places.numberOf(request.service ?? "", request.namespace ?? "");
    if (cells[row * stride + 1] !== place) this.#spentAt(row, place, offsets, amounts, offsets.length);
    if ((++this.#pulse.checks & CLOCK_EVERY) === 0 || this.#everyCheck) this.#afterSpend(row);
    return ALLOWED;
  }

  #spentAt(row: number, place: number, offsets: ArrayLike<number>, amounts: ArrayLike<number>, count: number): void {
    const used = this.#states[row]?.usedAt(place) ?? null;
    if (used !== null) spendAt(used, offsets, amounts, count);
  }

  #afterSpend(row: number): void {
    const state = this.#states[row];
    if (state) this.#decider.afterSpend(state);
  }

  /** Not covered by what is out: perhaps with the reserve. */
  #short(request: CheckRequest, row: number): MaybePromise<Decision> {
    const state = this.#states[row];
    return state && this.#decider.openReserve(state) ? this.check(request) : this.#slowly(request);
  }

  async #slowly(request: CheckRequest): Promise<Decision> {
    const vector = request.usage ? this.#names.vector(request.usage) : this.#operations.get(request.operation ?? "");
    const state = vector && isPlain(request) ? this.#stateOf(request.account) : null;
    if (!vector || !state) return this.#decider.ask(request);
    const { service = "", namespace = "", object } = request;
    return this.#decider.decide(state, this.#places.numberOf(service, namespace), vector, object);
  }

  #stateOf(account: string): AccountState | null {
    const row = this.#rows.get(account);
    if (row !== undefined) return this.#states[row] ?? null;
    if (this.#rows.size >= this.#accountsMax && !this.#forgetOne()) return null;
    const state = new AccountState(account, this.#arena);
    this.#rows.set(account, state.row);
    this.#states[state.row] = state;
    return state;
  }

  /** Forgets an account that holds nothing, of the oldest. */
  #forgetOne(): boolean {
    let looks = 0;
    for (const [id, row] of this.#rows) {
      const state = this.#states[row];
      if (state && !state.pinned && !state.lease && !state.pending && !state.flight) {
        this.#states[row] = undefined;
        this.#arena.release(row);
        return this.#rows.delete(id);
      }
      if (++looks === FORGET_LOOKS) break;
    }
    return false;
  }
}

/** Nothing in it needs Weir: counters alone, and no key to remember. */
const isPlain = (request: CheckRequest): boolean =>
  request.storageBytes === undefined && request.payloadBytes === undefined && request.idempotencyKey === undefined;

/** Makes a meter: one a process. It sends nothing until it is asked. */
export const createMeter = (options: MeterOptions): Meter => new Meter(options);
