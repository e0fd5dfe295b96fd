import type { GateStores, AccountLoader } from "../gate/account-loader.ts";
import type { Db } from "../stores/database.ts";
import type { Clock } from "../kernel/clock.ts";
import { bookOwn } from "../ledger/book-own.ts";
import type { ObjectRequests } from "../ledger/object-requests.ts";
import { readingsBooked, rollUp, rollUpAccounts, type RollUpReport } from "../ledger/roll-up.ts";

export interface BookingParts {
  /** With the patient connection to Redis: nobody's write hangs on booking. */
  stores: GateStores;
  loader: AccountLoader;
  objectRequests: ObjectRequests;
  clock: Clock;
  onTrouble: (error: unknown) => void;
}

/** Brings what Redis holds, and what this process acknowledged, into the ledger; and tells Redis what of it counts for another epoch. */
export class Booking {
  readonly #parts: BookingParts;

  constructor(parts: BookingParts) {
    this.#parts = parts;
  }

  /** Books all that Redis and this process hold of one account; where Redis says that nothing waits, that is nothing. */
  async account(account: string): Promise<void> {
    const { stores, loader, clock } = this.#parts;
    const now = clock.now();
    const present = await stores.counters.read(account, []);
    // A branch may have what its home has not.
    if (present && !present.header.dirty && !stores.counters.branches.isHot(account)) return;
    const own = await bookOwn(stores.db, stores.unbooked, [account], now);
    const { outdated } = await rollUpAccounts(stores, [account], now);
    if (own.outdated.length + outdated.length > 0) await loader.refresh(account, now);
    if (own.refused) throw own.refused;
  }

  /** Books what Redis holds. Any process, any number of times. */
  async rollUp(): Promise<RollUpReport> {
    const { stores, loader, clock } = this.#parts;
    const now = clock.now();
    const report = await rollUp(stores, now);
    let { fault } = report;
    for (const account of report.outdated) await loader.refresh(account, now).catch((error: Error) => (fault ??= error));
    if (fault) throw fault;
    return report;
  }

  /** Books this process' own copies of what it acknowledged. */
  async own(): Promise<void> {
    const { stores, loader, objectRequests, clock } = this.#parts;
    const now = clock.now();
    const { outdated, refused } = await bookOwn(stores.db, stores.unbooked, stores.unbooked.accounts(), now);
    for (const account of outdated) await loader.refresh(account, now);
    await objectRequests.book(now);
    if (refused) throw refused;
  }

  /** Books everything. */
  async all(): Promise<void> {
    await this.rollUp();
    await this.own();
  }

  /**
   * Books what a process that was called on holds, over `db`. An account that the ledger refuses keeps no other from being loaded: of a life
   * that was not sealed all that it was granted is taken for spent, so nothing is let pass for it.
   */
  async forRecall(db: Db): Promise<void> {
    const { stores, loader, clock, onTrouble } = this.#parts;
    const now = clock.now();
    const { unbooked } = stores;
    const [{ outdated, refused }] = await Promise.all([bookOwn(db, unbooked, unbooked.accounts(), now), readingsBooked(stores.db)]);
    if (refused) onTrouble(refused);
    // Not awaited: the account that is being loaded may be among them, and would wait for itself.
    for (const account of outdated) void loader.refresh(account, now).catch(onTrouble);
  }
}
