import { spendAt, type AccountState } from "./account-state.ts";
import type { Api } from "./api.ts";
import { spend } from "./arena.ts";
import type { ClientClock } from "./clock.ts";
import { noteDemand, noteSize } from "./demand.ts";
import { WeirUnavailable } from "./errors.ts";
import type { Heart, Pulse } from "./heart.ts";
import type { Journal } from "./journal.ts";
import { PAUSE_MS, type Keeper } from "./keeper.ts";
import type { Metrics } from "./metrics.ts";
import type { PlaceNames } from "./places.ts";
import { ALLOWED, type CheckRequest, type Decision } from "./types.ts";
import type { MeterNames, Vector } from "./vector.ts";

/** Checks between two looks at the clock: a power of two, less one. A loop that never yields would not see a lease expire. */
export const CLOCK_EVERY = 1_023;
/** Checks are counted over this long to find out whether an account is worth a lease. */
const WORTH_WINDOW_MS = 1_000;
/** At a window's end a lease is settled to learn that it has ended, then the next is taken: without the second trip all who wait ask Weir. */
const TRIPS_MAX = 2;
/** After a lease that did not cover an operation the next ones do not wait for another: it may be larger than any. */
const SHORT_PAUSE_MS = 100;

export interface DeciderParts {
  api: Api;
  clock: ClientClock;
  pulse: Pulse;
  meters: MeterNames;
  places: PlaceNames;
  metrics: Metrics;
  keeper: Keeper;
  heart: Heart;
  /** Told of every check in memory before it is answered; null: of heartbeats alone, or nothing. */
  everyCheck: Journal | null;
  leaseAfter: number;
}

/** What is not decided by the first look at the arena: takes out the reserve, waits for a lease that is on its way, or asks Weir. */
export class Decider {
  readonly pulse: Pulse;
  readonly #parts: DeciderParts;
  #closed = false;

  constructor(parts: DeciderParts) {
    this.pulse = parts.pulse;
    this.#parts = parts;
  }

  get journaled(): boolean {
    return this.#parts.everyCheck !== null;
  }

  /** From now on nothing is decided. */
  close(): void {
    this.#closed = true;
  }

  /** After a check in memory, now and then. Throws where the journal cannot keep it: it is not allowed then. */
  afterSpend(state: AccountState): void {
    const { pulse } = this;
    if ((pulse.checks & CLOCK_EVERY) === 0) pulse.now = this.#parts.clock.now();
    const { everyCheck, keeper } = this.#parts;
    if (!everyCheck || !state.lease) return;
    const { seq, used, places } = keeper.account(state, state.lease);
    try {
      everyCheck.append({ kind: "used", lease: state.lease.id, seq, used, places });
    } catch (cause) {
      throw new WeirUnavailable("The journal cannot be written.", { cause });
    }
  }

  /** Takes out what was put by and sends for more; true when the same look at the arena may succeed now. */
  openReserve(state: AccountState): boolean {
    const { pulse } = this;
    if (state.lease === null || !state.openReserve()) return false;
    pulse.now = this.#parts.clock.now();
    if (state.flight === null && state.notBefore <= pulse.now) void this.#sync(state);
    return true;
  }

  /** Decides a check of counters that is not covered at once. Throws `WeirUnavailable` and `WeirRefused`. */
  async decide(state: AccountState, place: number, vector: Vector, object?: string): Promise<Decision> {
    this.#requireOpen();
    noteSize(state, vector.offsets, vector.amounts);
    if (state.lease === null) state.usedAt(place);
    if (await this.#byLease(state, place, vector)) return ALLOWED;
    const { service, namespace } = this.#parts.places.nameOf(place);
    const request: CheckRequest = { account: state.id, usage: vector.usage };
    if (service !== "") request.service = service;
    if (namespace !== "") request.namespace = namespace;
    if (object !== undefined) request.object = object;
    const decision = await this.ask(request);
    if (decision.allowed) return decision;
    const holdsIt = decision.denials.some((d) => d.meter !== null && state.left(this.#parts.meters.numberOf(d.meter)) > 0);
    if (!holdsIt) {
      state.notBefore = Math.max(state.notBefore, this.#parts.clock.now() + PAUSE_MS);
      return decision;
    }
    // What this process holds itself is no reason to deny it.
    await this.#parts.keeper.release(state, PAUSE_MS);
    return this.ask(request);
  }

  /** One request to Weir. */
  async ask(request: CheckRequest): Promise<Decision> {
    this.#requireOpen();
    const { api, metrics } = this.#parts;
    metrics.direct += 1;
    try {
      const decision = await api.send<Decision>("POST", "/v1/check", request);
      if (!decision.allowed) metrics.denied += 1;
      return decision;
    } catch (error) {
      if (error instanceof WeirUnavailable) metrics.unavailable += 1;
      throw error;
    }
  }

  /** Takes a lease for operations like this one, unless one is held. */
  async warm(state: AccountState, vector: Vector): Promise<void> {
    this.#requireOpen();
    noteSize(state, vector.offsets, vector.amounts);
    if (state.lease === null) await this.#sync(state);
  }

  async #byLease(state: AccountState, place: number, vector: Vector): Promise<boolean> {
    const { clock } = this.#parts;
    this.pulse.now = clock.now();
    if (this.#spend(state, place, vector)) return true;
    for (let trips = 0; trips < TRIPS_MAX; trips++) {
      if (state.flight === null && this.#worthAsking(state, vector)) void this.#sync(state);
      if (state.flight === null) return false;
      await state.flight;
      this.#requireOpen();
      this.pulse.now = clock.now();
      if (this.#spend(state, place, vector)) return true;
      if (state.silent) throw new WeirUnavailable("Weir did not answer, and what is held does not cover this.");
      if (!state.lease?.ended) break;
    }
    state.notBefore = Math.max(state.notBefore, this.pulse.now + SHORT_PAUSE_MS);
    return false;
  }

  /** True when a lease, or more of one, is likely to serve this account better than single checks. */
  #worthAsking(state: AccountState, { offsets, amounts }: Vector): boolean {
    const { now } = this.pulse;
    if (now < state.notBefore) return false;
    if (state.lease) return true;
    if (now - state.directSince > WORTH_WINDOW_MS) {
      state.directSince = now;
      state.directChecks = 0;
      state.direct = [];
    }
    state.directChecks += 1;
    spendAt(state.direct, offsets, amounts, offsets.length);
    if (state.directChecks <= this.#parts.leaseAfter) return false;
    noteDemand(state, state.direct, now - state.directSince);
    return true;
  }

  #spend(state: AccountState, place: number, { offsets, amounts }: Vector): boolean {
    const { arena, row } = state;
    const count = offsets.length;
    if (state.until <= this.pulse.now) return false;
    const from = row * arena.stride;
    const spent =
      spend(arena.cells, from, offsets, amounts, count) || (this.openReserve(state) && spend(arena.cells, from, offsets, amounts, count));
    if (!spent) return false;
    const used = state.usedAt(place);
    if (used !== null) spendAt(used, offsets, amounts, count);
    this.pulse.checks += 1;
    this.afterSpend(state);
    return true;
  }

  #sync(state: AccountState): Promise<void> {
    this.#parts.heart.add(state);
    return this.#parts.keeper.sync(state);
  }

  #requireOpen(): void {
    if (this.#closed) throw new WeirUnavailable("This meter is closed.");
  }
}
