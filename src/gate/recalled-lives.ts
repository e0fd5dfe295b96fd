import type { Counters } from "../counters/counters.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { Recall } from "../ledger/recall.ts";

/** How long what was called for counts: a caller that was told to come again has come by then. */
const KEPT_MS = 30_000;
/** Lives kept at once, 400 bytes each. Beyond them all are forgotten, which costs a call each. */
const LIVES_MAX = 20_000;

/** A life of an account that cannot go on, as it stood in Redis before everybody was called on. */
interface Life {
  readonly epoch: number;
  readonly mark: string;
  readonly at: number;
}

/**
 * Lives that are over and of which everybody has booked what they had. After a failover thousands of accounts are loaded anew, each of which calls on
 * every process, and on a busy machine that takes longer than a caller waits. The call goes on, and whoever asks for the account again finds it
 * done, as long as nothing was counted in that life since. To call again for each retry kept every process calling and none loading, for 40 s.
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
    const mark = await this.#counters.mark(account);
    const life = this.#lives.get(account);
    // Who takes the server for another incarnation may go on counting: seen in what Redis holds, of which every count changes something.
    if (life && life.epoch === epoch && life.mark === mark && monotonicMs() - life.at < KEPT_MS) return;
    await this.#recall.all(() => this.#note(account, { epoch, mark, at: monotonicMs() }));
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
