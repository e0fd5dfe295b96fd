import { hash53 } from "./hash.ts";

interface Lane<T> {
  queue: T[];
  /** Wakes the worker that waits for something to do. */
  filled: (() => void) | null;
  /** Wakes the feeder that waits for room. */
  drained: (() => void) | null;
}

export interface LaneOptions {
  /** Lanes that work side by side. */
  count: number;
  /** Items that may wait in one lane; the feeder waits beyond it. */
  queueMax: number;
  /** Items that a worker takes at once. */
  batchMax: number;
}

/**
 * Bounded lanes. Items of one name go down one lane, so they are worked on in their order; lanes do not wait for each
 * other. What fails in one lane ends them all and comes out of `push` or `finish`.
 */
export class Lanes<T> {
  readonly #lanes: Lane<T>[];
  readonly #options: LaneOptions;
  readonly #workers: Promise<void>[];
  #closed = false;
  #failure: { error: unknown } | null = null;

  constructor(options: LaneOptions, work: (items: T[]) => Promise<void>) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.count }, () => ({ queue: [], filled: null, drained: null }));
    this.#workers = this.#lanes.map((lane) => this.#run(lane, work));
  }

  /** Hands `item` to the lane of `name`; waits while that lane is full. */
  async push(name: string, item: T): Promise<void> {
    const lane = this.#lanes[hash53(name) % this.#lanes.length];
    if (!lane) return;
    while (lane.queue.length >= this.#options.queueMax && !this.#failure) {
      await new Promise<void>((resolve) => {
        lane.drained = resolve;
      });
    }
    if (this.#failure) throw this.#failure.error;
    lane.queue.push(item);
    wake(lane, "filled");
  }

  /** Takes no more; resolves when everything that was pushed is worked off. */
  async finish(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#lanes) wake(lane, "filled");
    await Promise.all(this.#workers);
    if (this.#failure) throw this.#failure.error;
  }

  async #run(lane: Lane<T>, work: (items: T[]) => Promise<void>): Promise<void> {
    while (!this.#failure) {
      if (lane.queue.length === 0) {
        if (this.#closed) return;
        await new Promise<void>((resolve) => {
          lane.filled = resolve;
        });
        continue;
      }
      const items = lane.queue.splice(0, this.#options.batchMax);
      wake(lane, "drained");
      try {
        await work(items);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const lane of this.#lanes) {
      wake(lane, "filled");
      wake(lane, "drained");
    }
  }
}

function wake(lane: Lane<unknown>, which: "filled" | "drained"): void {
  const resolve = lane[which];
  lane[which] = null;
  resolve?.();
}
