import type { ClientClock } from "../../src/client/clock.ts";

interface Timer {
  at: number;
  every: number | null;
  work: () => void;
}

/** A clock for the SDK that moves when it is told, and rings what is due on the way. */
export class ManualClientClock implements ClientClock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(ms: number, work: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: null, work });
  }

  every(ms: number, work: () => void): () => void {
    return this.#add({ at: this.#now + ms, every: ms, work });
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#due(end); next; next = this.#due(end)) {
      this.#now = Math.max(this.#now, next.at);
      if (next.every === null) this.#timers.delete(next);
      else next.at += next.every;
      next.work();
    }
    this.#now = end;
  }

  #due(end: number): Timer | undefined {
    return [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}
