import type { Counters } from "../counters/counters.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { Recall } from "../ledger/recall.ts";

/** How long what was called for counts: a caller that was told to come again has come by then. */
const KEPT_MS = 30_000;
/** Lives kept at once, 100 bytes each. Beyond them all are forgotten, which costs a call each. */
const LIVES_MAX = 50_000;

/** A life of an account that was seen to be over on one incarnation of its server. */
interface Life {
  readonly epoch: number;
  readonly runId: string;
  readonly at: number;
}

/**
 * Lives that are over and of which everybody has booked what they had. After a failover thousands of accounts are loaded anew, each of which calls on
 * every process, and on a busy machine that takes longer than a caller waits. The call goes on, and whoever asks for the account again finds it
 * done: nothing can have been counted in that life since. To call again for each retry kept every process calling and none loading, for 40 s.
 */
export class RecalledLives {
  readonly #counters: Counters;
  readonly #recall: Recall;
  readonly #lives = new Map<string, Life>();

  constructor(counters: Counters, recall: Recall) {
    this.#counters = counters;
    this.#recall = recall;
  }

  /**
   * Resolves when all that was acknowledged in the account's life `epoch` is booked. For a life that was seen to be over, and of which this is the
   * last that Postgres knows. Throws `unavailable` where that takes long.
   */
  async callOnAll(account: string, epoch: number): Promise<void> {
    const runId = this.#counters.runOf(account);
    const life = this.#lives.get(account);
    // On another incarnation of the server it might live.
    if (life && life.epoch === epoch && life.runId === runId && monotonicMs() - life.at < KEPT_MS) return;
    await this.#recall.all(() => this.#note(account, { epoch, runId, at: monotonicMs() }));
  }

  /** For an account that was loaded, by whomever. */
  forget(account: string): void {
    this.#lives.delete(account);
  }

  #note(account: string, life: Life): void {
    if (this.#lives.size >= LIVES_MAX) this.#lives.clear();
    this.#lives.set(account, life);
  }
}
