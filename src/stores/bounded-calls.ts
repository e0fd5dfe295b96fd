import { monotonicMs } from "../kernel/clock.ts";
import { unavailable } from "../kernel/errors.ts";

interface Pending {
  startedAt: number;
  fail: (error: Error) => void;
}

/** How often the oldest call under way is looked at, milliseconds. */
const WATCH_MS = 25;

/**
 * Calls to one server, so many at once and the rest in line. A server that answers nothing for `timeoutMs` fails everything that is
 * under way or in line, at once: nobody waits for their turn to time out. While it answers, a burst only queues: 10,000 checks at
 * once are work, not an outage, and a timer for each would fire for them all when this process is merely busy.
 */
export class BoundedCalls {
  readonly #server: string;
  readonly #timeoutMs: number;
  readonly #inFlightMax: number;
  readonly #waitingMax: number;
  readonly #onDoubt: () => void;
  readonly #inFlight = new Set<Pending>();
  #waiting: { run: () => void; fail: (error: Error) => void }[] = [];
  #next = 0;
  #watch: NodeJS.Timeout | null = null;

  constructor(server: string, limits: { timeoutMs: number; inFlightMax: number; waitingMax: number; onDoubt?: () => void }) {
    this.#server = server;
    this.#timeoutMs = limits.timeoutMs;
    this.#inFlightMax = limits.inFlightMax;
    this.#waitingMax = limits.waitingMax;
    this.#onDoubt = limits.onDoubt ?? (() => {});
  }

  /** Runs `call` when there is room. Rejects with `unavailable` when the server is silent or too many wait. */
  run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#inFlight.size < this.#inFlightMax) return this.#start(call);
    if (this.#waiting.length - this.#next >= this.#waitingMax) return Promise.reject(unavailable(this.#server));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run: () => void this.#start(call).then(resolve, reject), fail: reject });
    });
  }

  /** Fails everything under way or in line: the connection is gone, and with it every answer. */
  failAll(): void {
    if (this.#inFlight.size > 0) this.#onDoubt();
    for (const pending of this.#inFlight) pending.fail(unavailable(this.#server));
    const waiting = this.#waiting.slice(this.#next);
    this.#waiting = [];
    this.#next = 0;
    for (const { fail } of waiting) fail(unavailable(this.#server));
  }

  #start<T>(call: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const pending: Pending = { startedAt: monotonicMs(), fail: (error) => end(() => reject(error)) };
      const end = (settle: () => void): void => {
        if (!this.#inFlight.delete(pending)) return;
        settle();
        this.#startNext();
      };
      this.#inFlight.add(pending);
      this.#watch ??= setInterval(() => this.#look(), WATCH_MS);
      call().then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  #startNext(): void {
    const next = this.#waiting[this.#next];
    if (next) {
      this.#next += 1;
      next.run();
    } else if (this.#waiting.length > 0) {
      this.#waiting = [];
      this.#next = 0;
    }
  }

  #look(): void {
    // Not when the last call ended: one caller after another would set and clear a timer for each call.
    if (this.#inFlight.size === 0 && this.#watch) {
      clearInterval(this.#watch);
      this.#watch = null;
    }
    if (!this.#isSilent()) return;
    // This process may have been busy, with the answers waiting in its socket: one turn of the loop reads them.
    setImmediate(() => {
      if (this.#isSilent()) this.failAll();
    });
  }

  // The set keeps the order of insertion: its first is the oldest.
  #isSilent(): boolean {
    const [oldest] = this.#inFlight;
    return oldest !== undefined && monotonicMs() - oldest.startedAt > this.#timeoutMs;
  }
}
