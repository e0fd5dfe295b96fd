import type { AccountState, GrantBody, HeldLease, Pending } from "./account-state.ts";
import type { Api } from "./api.ts";
import type { ClientClock } from "./clock.ts";
import { noteDemand, wanted } from "./demand.ts";
import { WeirRefused, WeirUnavailable } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Metrics } from "./metrics.ts";
import type { PlaceNames } from "./places.ts";
import { settleBody } from "./settle-body.ts";
import type { LeaseAnswer, SettleBody } from "./types.ts";
import type { Unsettled } from "./unsettled.ts";
import type { MeterNames } from "./vector.ts";

export interface KeeperParts {
  api: Api;
  clock: ClientClock;
  meters: MeterNames;
  places: PlaceNames;
  metrics: Metrics;
  unsettled: Unsettled;
  journal: Journal | null;
  holder: string;
  ttlSeconds: number | null;
}

/** After a recall, or a lease that would not do, checks go to Weir this long: near a limit it alone shares out the last units. */
export const PAUSE_MS = 2_000;
/** After Weir did not answer: doubled each time, up to the last. */
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5_000;

/**
 * Takes leases, settles and renews them, gives them back: one request an account at a time. A request without an answer is sent again
 * as it was before anything else is: it may have been carried out.
 */
export class Keeper {
  readonly #parts: KeeperParts;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Settles and renews, or takes a lease. Never rejects; those who come while one is under way share it. */
  sync(state: AccountState): Promise<void> {
    state.flight ??= this.#fly(state).finally(() => (state.flight = null));
    return state.flight;
  }

  /** Gives back what is held, settling what was spent; for `pauseMs` Weir decides alone. Resolves when Weir has heard, or did not answer. */
  release(state: AccountState, pauseMs = 0): Promise<void> {
    const { clock, unsettled } = this.#parts;
    const { lease } = state;
    state.notBefore = Math.max(state.notBefore, clock.now() + pauseMs);
    if (!lease) return Promise.resolve();
    const body = this.#body(state, lease.seq + 1, { close: true });
    if (state.pending?.kind === "settle") state.pending = null;
    state.forgetLease();
    return unsettled.add(lease.id, body);
  }

  /** What the account's lease was spent on so far, under the number it would be settled with next. */
  account(state: AccountState, lease: HeldLease): SettleBody {
    return this.#body(state, lease.seq, {});
  }

  async #fly(state: AccountState): Promise<void> {
    const { clock, metrics } = this.#parts;
    const pending = state.pending ?? this.#next(state);
    if (!pending) return;
    state.pending = pending;
    const sentAt = clock.now();
    try {
      const answer = await this.#send(pending);
      if (state.pending === pending) state.pending = null;
      state.failures = 0;
      state.silent = false;
      if (pending.kind === "grant") this.#begin(state, answer, sentAt);
      else if (state.lease?.id === pending.lease) this.#goOn(state, state.lease, answer, sentAt);
    } catch (error) {
      if (error instanceof WeirRefused) this.#refused(state, pending, error);
      else {
        metrics.unavailable += 1;
        state.failures += 1;
        state.silent = !(error instanceof WeirUnavailable && error.answered);
        state.notBefore = clock.now() + Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** (state.failures - 1));
      }
    }
  }

  #send(pending: Pending): Promise<LeaseAnswer> {
    const { api, metrics } = this.#parts;
    metrics[pending.kind === "grant" ? "grants" : "settles"] += 1;
    const path = pending.kind === "grant" ? "/v1/leases" : `/v1/leases/${pending.lease}/settle`;
    return api.send("POST", path, pending.body);
  }

  /** The next request: a settle of a lease that goes on, else a new lease. */
  #next(state: AccountState): Pending | null {
    const { clock, meters, holder, ttlSeconds } = this.#parts;
    const now = clock.now();
    const { lease } = state;
    if (lease && !lease.ended) return this.#settle(state, lease, now);
    if (lease) this.#noteUse(state, lease, now);
    const asked = wanted(state, meters.names, true);
    if (now < state.notBefore || Object.keys(asked).length === 0) return null;
    const body: GrantBody = { account: state.id, meters: asked, holder, fair: true, idempotencyKey: `${holder}/${crypto.randomUUID()}` };
    if (ttlSeconds !== null) body.ttlSeconds = ttlSeconds;
    return { kind: "grant", body };
  }

  #settle(state: AccountState, lease: HeldLease, now: number): Pending {
    this.#noteUse(state, lease, now);
    lease.seq += 1;
    const renew = now < state.notBefore ? {} : wanted(state, this.#parts.meters.names, false);
    const body = this.#body(state, lease.seq, Object.keys(renew).length > 0 ? { renew } : {});
    this.#parts.journal?.append({ kind: "used", lease: lease.id, seq: body.seq, used: body.used, places: body.places });
    return { kind: "settle", lease: lease.id, body };
  }

  #noteUse(state: AccountState, lease: HeldLease, now: number): void {
    const used = state.used();
    const consumed = used.map((n, meter) => n - (lease.sent[meter] ?? 0));
    noteDemand(state, consumed, now - lease.sentAt);
    lease.sent = used;
    lease.sentAt = now;
  }

  /** A new lease takes the place of what is held; the old one is settled to the last unit and given back. */
  #begin(state: AccountState, answer: LeaseAnswer, sentAt: number): void {
    const { clock, journal } = this.#parts;
    void this.release(state);
    const { leaseId: id, ended } = answer;
    state.lease = { id, seq: 0, granted: [], sent: [], sentAt: clock.now(), ended, idleBeats: 0 };
    journal?.append({ kind: "begun", lease: id });
    this.#take(state, state.lease, answer, sentAt);
    // One meter that is not to be had sends its operations to Weir: what is held of the others only stands in somebody's way.
    if (answer.closed || Object.values(answer.granted).includes(0)) void this.release(state, PAUSE_MS);
  }

  #goOn(state: AccountState, lease: HeldLease, answer: LeaseAnswer, sentAt: number): void {
    const { metrics } = this.#parts;
    lease.ended = answer.ended;
    this.#take(state, lease, answer, sentAt);
    if (answer.exceeded) metrics.exceeded += 1;
    if (!answer.recall) return;
    // Somebody was denied what this holds, or a limit was lowered under it: for a while Weir decides for everybody.
    metrics.recalled += 1;
    void this.release(state, PAUSE_MS);
  }

  /** Adds what was granted since, and notes until when it may be spent: counted from when the request was sent. */
  #take(state: AccountState, lease: HeldLease, answer: LeaseAnswer, sentAt: number): void {
    const { meters } = this.#parts;
    for (const [name, granted] of Object.entries(answer.granted)) {
      const meter = meters.numberOf(name);
      if (meter < 0) continue;
      while (lease.granted.length <= meter) lease.granted.push(0);
      state.add(meter, Math.max(0, granted - (lease.granted[meter] ?? 0)));
      lease.granted[meter] = Math.max(granted, lease.granted[meter] ?? 0);
    }
    state.until = Math.max(state.until, sentAt + answer.expiresInMs);
  }

  #body(state: AccountState, seq: number, more: { renew?: Record<string, number>; close?: true }): SettleBody {
    const { meters, places } = this.#parts;
    return settleBody(state, { names: meters.names, placeNames: places }, seq, more);
  }

  /** The account or the lease is not there, or the key may not: nothing is to be gained by asking again soon. */
  #refused(state: AccountState, pending: Pending, error: WeirRefused): void {
    const { clock, metrics } = this.#parts;
    metrics.refused += 1;
    metrics.lastRefusal = error.message;
    if (pending.kind === "settle" && state.lease?.id === pending.lease) {
      metrics.unsettledLost += 1;
      state.forgetLease();
    }
    state.pending = null;
    state.notBefore = clock.now() + RETRY_LAST_MS;
  }
}
