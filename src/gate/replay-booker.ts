import { rollUpAccounts } from "../ledger/roll-up.ts";
import type { GateStores } from "./account-loader.ts";

/**
 * Books an account before an answer that only Redis knows is given again. Whoever decided it may never have heard so (its reply was
 * lost, or it was killed) and then holds no copy: acknowledged now, the usage would stand in Redis alone, and fall with it.
 * One booking an account at a time; callers that come meanwhile share the next one.
 */
export class ReplayBooker {
  readonly #stores: GateStores;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(stores: GateStores) {
    this.#stores = stores;
  }

  /** Resolves when what Redis held of the account at this moment is in Postgres. */
  book(account: string, now: number): Promise<void> {
    const waiting = this.#next.get(account);
    if (waiting) return waiting;
    const before = this.#running.get(account) ?? Promise.resolve();
    const booking = before
      .catch(() => {})
      .then(async () => {
        this.#next.delete(account);
        this.#running.set(account, booking);
        await rollUpAccounts(this.#stores, [account], now);
      })
      .finally(() => {
        if (this.#running.get(account) === booking) this.#running.delete(account);
      });
    this.#next.set(account, booking);
    return booking;
  }
}
