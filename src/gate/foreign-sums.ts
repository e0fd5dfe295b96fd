import type { ForeignAddition, ForeignStanding } from "../counters/foreign-call.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";

/** Accounts that wait for a Redis that did not answer. Beyond that the oldest waits for its next load. */
const UNTOLD_MAX = 10_000;
/** Accounts told at a time: each takes a few statements, and the gate's own loads need connections too. */
const TELLING_MAX = 4;

/** One look at Redis that has not begun: whoever asks until then is served by it. */
interface Round {
  foreignSeq: number;
  now: number;
  done: Promise<void>;
}

/**
 * Tells Redis of sums that were booked past it, so that limits and usage include them at once. A thousand callers for one account
 * cost two refreshes, not a thousand: one under way, which may have read too early, and the one after it.
 */
export class ForeignSums {
  readonly #stores: Pick<GateStores, "counters">;
  readonly #loader: AccountLoader;
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Round>();
  /** Account → the foreign_seq that Redis is behind, oldest first. */
  readonly #untold = new Map<string, number>();

  constructor(stores: Pick<GateStores, "counters">, loader: AccountLoader) {
    this.#stores = stores;
    this.#loader = loader;
  }

  /**
   * Adds to Redis' sums what was booked, in one trip for all accounts; sums that Redis cannot add to are read and installed. Resolves
   * when Redis knows them, or when it could not be told and `retell` will. Never rejects.
   */
  async add(additions: readonly ForeignAddition[], now: number): Promise<void> {
    const standings = await this.#stores.counters.foreign.add(additions).catch((): ForeignStanding[] => []);
    const left = new Map<string, number>();
    additions.forEach(({ account, foreignSeq }, i) => {
      if (standings[i] !== "told") left.set(account, Math.max(foreignSeq, left.get(account) ?? 0));
    });
    await this.tell(left, now);
  }

  /** Resolves when Redis knows these sums, or when it could not be told and `retell` will. Never rejects. */
  async tell(sequences: ReadonlyMap<string, number>, now: number): Promise<void> {
    const left = [...sequences];
    const worker = async (): Promise<void> => {
      for (let next = left.pop(); next; next = left.pop()) await this.#tellOrKeep(next[0], next[1], now);
    };
    await Promise.all(Array.from({ length: Math.min(TELLING_MAX, left.length) }, worker));
  }

  /** Tells again what could not be told: until then limits do not yet count it, though it is booked and will be billed. */
  async retell(now: number): Promise<void> {
    const untold = new Map(this.#untold);
    this.#untold.clear();
    await this.tell(untold, now);
  }

  async #tellOrKeep(account: string, foreignSeq: number, now: number): Promise<void> {
    try {
      await this.#round(account, foreignSeq, now);
    } catch {
      this.#untold.delete(account);
      if (this.#untold.size >= UNTOLD_MAX) this.#untold.delete(this.#untold.keys().next().value ?? "");
      this.#untold.set(account, foreignSeq);
    }
  }

  #round(account: string, foreignSeq: number, now: number): Promise<void> {
    const waiting = this.#waiting.get(account);
    if (waiting) {
      waiting.foreignSeq = Math.max(waiting.foreignSeq, foreignSeq);
      waiting.now = Math.max(waiting.now, now);
      return waiting.done;
    }
    const round: Round = { foreignSeq, now, done: Promise.resolve() };
    round.done = (this.#running.get(account) ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#waiting.delete(account);
        this.#running.set(account, round.done);
        return this.#refresh(account, round);
      })
      .finally(() => {
        if (this.#running.get(account) === round.done) this.#running.delete(account);
      });
    this.#waiting.set(account, round);
    return round.done;
  }

  async #refresh(account: string, round: Round): Promise<void> {
    const present = await this.#stores.counters.read(account, []);
    // Told already: by another process, or by a load in the meantime.
    if (present && present.header.foreignSeq >= round.foreignSeq) return;
    if (present) await this.#loader.refresh(account, round.now);
    // Not loaded, it would read the sums when it is; but the thresholds they reach are to be told now.
    else await this.#loader.load(account, "absent", 0, round.now);
  }
}
