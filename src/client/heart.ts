import type { AccountState } from "./account-state.ts";
import type { ClientClock } from "./clock.ts";
import type { Keeper } from "./keeper.ts";
import type { Unsettled } from "./unsettled.ts";

/** How often the clock that checks go by is read; a beat is this late at most. */
const TICK_MS = 50;
/** Heartbeats without use that a lease is kept for: at the next it goes back, so nobody need call for what is idle. */
const IDLE_BEATS_MAX = 1;
/** Accounts that wait for a heartbeat's answer at once; the others beat with the next round. */
const AT_ONCE = 64;

/** The time as checks in memory see it: read on every tick and every so many checks, since reading it costs more than a check. */
export interface Pulse {
  now: number;
  /** Checks decided in memory. */
  checks: number;
}

/** Beats for every account that holds something: settles what was spent, keeps the lease alive, gives back what is not used. */
export class Heart {
  readonly #pulse: Pulse;
  readonly #clock: ClientClock;
  readonly #keeper: Keeper;
  readonly #unsettled: Unsettled;
  readonly #heartbeatMs: number;
  /** Accounts by the tick they beat at, so that they do not all beat together. */
  readonly #slots: Set<AccountState>[];
  #slot = 0;
  #next = 0;
  #beating = 0;
  #stop: (() => void) | null = null;

  constructor(parts: { pulse: Pulse; clock: ClientClock; keeper: Keeper; unsettled: Unsettled; heartbeatMs: number }) {
    this.#pulse = parts.pulse;
    this.#clock = parts.clock;
    this.#keeper = parts.keeper;
    this.#unsettled = parts.unsettled;
    this.#heartbeatMs = parts.heartbeatMs;
    this.#slots = Array.from({ length: Math.max(1, Math.round(parts.heartbeatMs / TICK_MS)) }, () => new Set<AccountState>());
  }

  /** Accounts that hold something. */
  states(): AccountState[] {
    return this.#slots.flatMap((slot) => [...slot]);
  }

  /** Begins to beat for an account, if it does not yet. The first starts the timer: a worker may not set one before it is asked. */
  add(state: AccountState): void {
    this.start();
    if (this.#slots.some((slot) => slot.has(state))) return;
    this.#next = (this.#next + 1) % this.#slots.length;
    this.#slots[this.#next]?.add(state);
  }

  start(): void {
    this.#stop ??= this.#clock.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  #tick(): void {
    this.#pulse.now = this.#clock.now();
    this.#slot = (this.#slot + 1) % this.#slots.length;
    const slot = this.#slots[this.#slot];
    for (const state of slot ?? []) if (!this.#beat(state)) slot?.delete(state);
    this.#unsettled.retry();
  }

  /** False when the account holds nothing any more. */
  #beat(state: AccountState): boolean {
    const { now } = this.#pulse;
    const { lease, pending } = state;
    if (!lease && !pending) return state.flight !== null;
    // Weir did not answer last time: not every beat asks again.
    if (state.flight || this.#beating >= AT_ONCE || (state.failures > 0 && now < state.notBefore)) return true;
    const spent = lease !== null && hasSpent(state);
    if (lease) lease.idleBeats = spent ? 0 : lease.idleBeats + 1;
    if (lease && !pending && lease.idleBeats > (lease.ended ? 0 : IDLE_BEATS_MAX)) {
      void this.#keeper.release(state);
      return false;
    }
    const due = pending !== null || spent || lease?.ended === true || state.until - now < 2 * this.#heartbeatMs;
    if (!due) return true;
    this.#beating += 1;
    void this.#keeper.sync(state).finally(() => (this.#beating -= 1));
    return true;
  }
}

/** Something was spent that Weir has not been told of. */
function hasSpent(state: AccountState): boolean {
  const sent = state.lease?.sent ?? [];
  return state.used().some((n, meter) => n !== (sent[meter] ?? 0));
}
