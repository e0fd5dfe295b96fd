/**
 * Time, injected. Nothing outside this file reads the wall clock, so a test can stand at
 * 23:59:59.999 UTC and step over midnight without sleeping.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC. */
  now(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { now: () => Date.now() };

/**
 * A clock that follows the machine until it is set, then stands still. It only moves forward:
 * a window that was closed must not open again.
 */
export class SettableClock implements Clock {
  #fixedAt: number | null;

  /** `stands`: where it was set to before. */
  constructor(stands: number | null = null) {
    this.#fixedAt = stands;
  }

  now(): number {
    return this.#fixedAt ?? systemClock.now();
  }

  /** True once it was set: it stands still. */
  get stands(): boolean {
    return this.#fixedAt !== null;
  }

  /** Stands the clock at `epochMs`. Returns false, changing nothing, when that lies in the past. */
  set(epochMs: number): boolean {
    if (epochMs < this.now()) return false;
    this.#fixedAt = epochMs;
    return true;
  }
}

/** A clock for tests: starts where it is told, moves only when it is told. */
export class ManualClock implements Clock {
  #now: number;

  constructor(start: number | string) {
    this.#now = typeof start === "string" ? Date.parse(start) : start;
  }

  now(): number {
    return this.#now;
  }

  set(at: number | string): void {
    this.#now = typeof at === "string" ? Date.parse(at) : at;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** Elapsed time for time limits and rates: milliseconds on a clock that is never set back. */
export const monotonicMs = (): number => performance.now();

/** Resolves after `ms`, or at once when `signal` fires. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Resolves in another turn of the event loop: what came meanwhile goes first. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Does `work` every `ms`, one at a time: a turn that comes while the last is under way is left out. Keeps no process alive. */
export function every(ms: number, work: () => Promise<void>, onTrouble: (error: unknown) => void): NodeJS.Timeout {
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    void work()
      .catch(onTrouble)
      .finally(() => (running = false));
  }, ms);
  return timer.unref();
}
