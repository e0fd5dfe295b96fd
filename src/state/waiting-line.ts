import { WeirError } from "../kernel/errors.ts";

interface Waiter {
  admit: () => void;
  refuse: (error: WeirError) => void;
  timer: NodeJS.Timeout;
}

export interface WaitingLineOptions {
  /** How many may be inside at once. */
  slots: number;
  /** How many may wait; the next one is refused. */
  waitingMax: number;
  /** How long one may wait, milliseconds. */
  waitMsMax: number;
  /** What is waited for, as the caller reads it: "The object". */
  what: string;
}

/**
 * First come, first served, with a bound on who may wait and for how long. With one slot it is a mutex that keeps
 * order; with more it rations something scarce, such as open files.
 */
export class WaitingLine {
  readonly #options: WaitingLineOptions;
  readonly #waiting: Waiter[] = [];
  #inside = 0;

  constructor(options: WaitingLineOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#inside === 0;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when it is the caller's turn; every turn must be given back with `leave`. Rejects with `unavailable`. */
  enter(): Promise<void> {
    const { slots, waitingMax, waitMsMax, what } = this.#options;
    if (this.#inside < slots) {
      this.#inside += 1;
      return Promise.resolve();
    }
    if (this.#waiting.length >= waitingMax) return Promise.reject(busy(`${what} has ${waitingMax} operations waiting already`));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        admit: resolve,
        refuse: reject,
        timer: setTimeout(() => this.#giveUp(waiter, busy(`${what} was not free within ${waitMsMax / 1_000} s`)), waitMsMax),
      };
      this.#waiting.push(waiter);
    });
  }

  /** Ends a turn: the one who has waited longest takes over the slot. */
  leave(): void {
    const next = this.#waiting.shift();
    if (!next) {
      this.#inside -= 1;
      return;
    }
    clearTimeout(next.timer);
    next.admit();
  }

  #giveUp(waiter: Waiter, error: WeirError): void {
    const at = this.#waiting.indexOf(waiter);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    waiter.refuse(error);
  }
}

/** `503 unavailable`: nothing was done, trying again helps. */
export const busy = (why: string): WeirError =>
  new WeirError("unavailable", `${why}; nothing was written. Try again.`, { retryAfterSeconds: 1 });
