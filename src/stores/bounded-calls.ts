import { monotonicMs } from "../kernel/clock.ts";
import { unavailable } from "../kernel/errors.ts";

interface Pending {
  startedAt: number;
  /** What had been stalled when it was started. */
  stalledBefore: number;
  fail: (error: Error) => void;
}

interface Waiting {
  run: (place: number) => void;
  fail: (error: Error) => void;
}

/** Calls that have left the line are kept in its list until they are so many: to move up each time would cost as much as the line is long. */
const LEFT_MAX = 1_024;

/** How often the oldest call under way is looked at, milliseconds. */
const WATCH_MS = 25;
/** Between two looks so far apart this process did not run, milliseconds: busy, or all of its machine was stopped, the server with it. */
const STALLED_MS = 100;
/** However this process stalls, nobody waits for a silent server more than so many times as long as is allowed. */
const WAITS_MAX = 5;

/**
 * Calls to one server, so many at once and the rest in line. A server that answers nothing for `timeoutMs` fails everything that is
 * under way or in line, at once: nobody waits for their turn to time out. While it answers, a burst only queues: 10,000 checks at
 * once are work, not an outage, and a timer for each would fire for them all when this process is merely busy. Time in which this process did not
 * run says nothing of the server: on two cores that three processes and a server shared, all three took it for silent in the same millisecond.
 */
export class BoundedCalls {
  readonly #server: string;
  readonly #timeoutMs: number;
  readonly #waitingMax: number;
  readonly #onDoubt: () => void;
  /**
   * Places for calls, and which of them are free. A set, which calls come to and leave all the time, is laid out anew every few of them, and each
   * old layout leads to the next: once one was old to the garbage collector, every call since looked alive to it and was copied twice.
   */
  readonly #inFlight: (Pending | null)[];
  readonly #free: number[];
  #waiting: (Waiting | null)[] = [];
  #next = 0;
  #watch: NodeJS.Timeout | null = null;
  #lookedAt = 0;
  /** Of all time so far, that in which this process did not run, milliseconds. */
  #stalled = 0;

  constructor(server: string, limits: { timeoutMs: number; inFlightMax: number; waitingMax: number; onDoubt?: () => void }) {
    this.#server = server;
    this.#timeoutMs = limits.timeoutMs;
    this.#inFlight = Array.from({ length: limits.inFlightMax }, () => null);
    this.#free = Array.from(this.#inFlight.keys());
    this.#waitingMax = limits.waitingMax;
    this.#onDoubt = limits.onDoubt ?? (() => {});
  }

  /** Runs `call` when there is room. Rejects with `unavailable` when the server is silent or too many wait. */
  run<T>(call: () => Promise<T>): Promise<T> {
    const place = this.#free.pop();
    if (place !== undefined) return this.#start(place, call);
    if (this.#waiting.length - this.#next >= this.#waitingMax) return Promise.reject(unavailable(this.#server));
    return new Promise<T>((resolve, reject) => {
      const run = (freed: number): void => void this.#start(freed, call).then(resolve, reject);
      this.#waiting.push({ run, fail: reject });
    });
  }

  /** Fails everything under way or in line: the connection is gone, and with it every answer. */
  failAll(): void {
    if (this.#isBusy()) this.#onDoubt();
    const waiting = this.#waiting.slice(this.#next);
    this.#waiting = [];
    this.#next = 0;
    for (const pending of this.#inFlight) pending?.fail(unavailable(this.#server));
    for (const one of waiting) one?.fail(unavailable(this.#server));
  }

  #start<T>(place: number, call: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const pending: Pending = { startedAt: monotonicMs(), stalledBefore: this.#stalled, fail: (error) => end(() => reject(error)) };
      const end = (settle: () => void): void => {
        if (this.#inFlight[place] !== pending) return;
        this.#inFlight[place] = null;
        settle();
        this.#startNext(place);
      };
      this.#inFlight[place] = pending;
      if (this.#watch === null) {
        this.#lookedAt = monotonicMs();
        this.#watch = setInterval(() => this.#look(), WATCH_MS);
      }
      call().then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  #startNext(place: number): void {
    const next = this.#waiting[this.#next];
    if (!next) return void this.#free.push(place);
    this.#waiting[this.#next++] = null;
    if (this.#next === this.#waiting.length || this.#next >= LEFT_MAX) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    next.run(place);
  }

  #look(): void {
    const now = monotonicMs();
    if (now - this.#lookedAt > STALLED_MS) this.#stalled += now - this.#lookedAt - WATCH_MS;
    this.#lookedAt = now;
    // Not when the last call ended: one caller after another would set and clear a timer for each call.
    if (!this.#isBusy() && this.#watch) {
      clearInterval(this.#watch);
      this.#watch = null;
    }
    if (!this.#isSilent()) return;
    // This process may have been busy, with the answers waiting in its socket: one turn of the loop reads them.
    setImmediate(() => {
      if (this.#isSilent()) this.failAll();
    });
  }

  #isBusy(): boolean {
    return this.#free.length < this.#inFlight.length;
  }

  #isSilent(): boolean {
    const now = monotonicMs();
    return this.#inFlight.some((pending) => {
      if (pending === null) return false;
      const waited = now - pending.startedAt;
      // Of a stall that it came in the middle of, it has waited through a part.
      const stalled = Math.min(this.#stalled - pending.stalledBefore, waited);
      return waited - stalled > this.#timeoutMs || waited > WAITS_MAX * this.#timeoutMs;
    });
  }
}
