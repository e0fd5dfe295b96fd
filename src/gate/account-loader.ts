import type { DrawnBack } from "../counters/branches.ts";
import type { Counters } from "../counters/counters.ts";
import { unlessUnavailable } from "../kernel/errors.ts";
import { sleep } from "../kernel/clock.ts";
import { reinstateEpoch, sealEpoch } from "../ledger/epoch-store.ts";
import { standingOf } from "../ledger/ledger-store.ts";
import type { ObjectRequests } from "../ledger/object-requests.ts";
import type { Recall } from "../ledger/recall.ts";
import { rollUpAccounts, type RollUpStores } from "../ledger/roll-up.ts";
import type { UnbookedTotals } from "../ledger/unbooked.ts";
import type { Db } from "../stores/database.ts";
import { LifeOpener, LOOK_WAIT_MS, LOOKS } from "./life-opener.ts";
import { existingInLife, readLoaded, type CatalogSource } from "./loaded-account.ts";

/** Why a state cannot be used: see check.lua; `unlived`: installed, but Postgres grants it nothing. */
export type LoadReason = "absent" | "run" | "lost" | "unlived" | "turned" | "catalog" | "meter" | "limits";

export interface GateStores extends Pick<RollUpStores, "tellCrossings"> {
  db: Db;
  counters: Counters;
  unbooked: UnbookedTotals;
  objectRequests: ObjectRequests;
  recall: Recall;
  catalog: CatalogSource;
  storageMeter: string;
}

/** An account may change between reading it and installing it: of 20 changes at once on a busy machine one met it five times in a row. */
const REFRESH_ATTEMPTS_MAX = 32;

/** Epochs closed with the process that opened them; those of further accounts strand what they were granted. */
const OPENED_MAX = 100_000;
const CLOSED_AT_ONCE = 200;

/**
 * Brings what Postgres says of an account into Redis: a new epoch where there is none for this incarnation of the server, newer
 * windows, limits and sums where there is. One load an account at a time; the others wait for it and look again.
 */
export class AccountLoader {
  readonly #stores: GateStores;
  readonly #opener: LifeOpener;
  readonly #inFlight = new Map<string, Promise<void>>();
  /** Accounts whose epoch this process opened, to be closed with it. */
  readonly #opened = new Set<string>();

  constructor(stores: GateStores) {
    this.#stores = stores;
    this.#opener = new LifeOpener(stores);
  }

  /** Loads or refreshes. `epoch` is the one the reason was seen in. Throws `not_found` for an account that does not exist. */
  async load(account: string, reason: LoadReason, epoch: number, now: number): Promise<void> {
    for (let running = this.#inFlight.get(account); running; running = this.#inFlight.get(account)) {
      // The load under way may have read limits before this caller's change: a change of limits never rides along.
      if (reason !== "limits") return running;
      await running.catch(() => {});
    }
    // No await from here to the note: of callers in one turn each would open a life of its own.
    const load = this.#load(account, reason, epoch, now).finally(() => {
      if (this.#inFlight.get(account) === load) this.#inFlight.delete(account);
    });
    this.#inFlight.set(account, load);
    return load;
  }

  /** Tells Redis of changed limits or sums. Nothing to do where the account is not loaded: it will read them when it is. */
  async refresh(account: string, now: number): Promise<void> {
    const present = await this.#stores.counters.read(account, []);
    if (present) await this.load(account, "limits", present.header.epoch, now);
  }

  /** The same, and tells the account of what is reached by it, such as a limit below what is used: so it is loaded where it is not. */
  async refreshAndTell(account: string, now: number): Promise<void> {
    const present = await this.#stores.counters.read(account, []);
    await this.load(account, present ? "limits" : "absent", present?.header.epoch ?? 0, now);
    if (!present) await this.drawBack(account, now);
    await rollUpAccounts(this.#stores, [account], now);
  }

  /**
   * Ends what a hot account's branches may spend of what they were lent (docs/decisions/0041); with `lent` where they were lent of these
   * meters. Answers whether a decision may come out otherwise now. Throws `unavailable` where a branch cannot be reached.
   */
  async drawBack(account: string, now: number, lent?: readonly string[]): Promise<boolean> {
    const { branches } = this.#stores.counters;
    if (!branches.isHot(account)) return false;
    const { drew, lostEpoch } = await branches.drawBack(account, now, lent);
    if (lostEpoch !== null) await this.load(account, "lost", lostEpoch, now);
    return drew;
  }

  /**
   * Replaces the account's epoch: for a change of calendar, whose windows cannot be carried over. The old epoch ends in the same
   * script that begins the new one, so once its last totals are booked nothing of it is unknown and it is sealed.
   */
  async reopen(account: string, now: number): Promise<void> {
    const { db, counters, recall } = this.#stores;
    const present = await counters.read(account, []);
    if (!present) return;
    const { lostEpoch } = await this.#closeBranches(account, now);
    await this.load(account, "lost", present.header.epoch, now);
    // Those filled since; and what they have counted is with the processes, should they be lost by now.
    await this.#closeBranches(account, now);
    if (counters.branches.isHot(account)) await recall.all();
    const next = await counters.read(account, []);
    await rollUpAccounts(this.#stores, [account], now);
    if (lostEpoch !== null) return this.refresh(account, now);
    // Only if Redis did not lose the account meanwhile: then the totals of the old epoch were there to be booked.
    const after = await counters.read(account, []);
    if (next && after?.header.epoch === next.header.epoch) await sealEpoch(db, account, present.header.epoch, now);
    await this.refresh(account, now);
  }

  /**
   * Closes the epochs this process opened: books the rest, ends each in Redis, then frees in Postgres what it did not spend. Without
   * it every stop would strand a chunk of each limit. An account in use elsewhere is simply loaded again.
   */
  async closeEpochs(now: number): Promise<void> {
    const accounts = [...this.#opened];
    for (const account of this.#stores.counters.branches.calls.hot.keys()) await this.#closeBranches(account, now).catch(unlessUnavailable);
    for (let i = 0; i < accounts.length; i += CLOSED_AT_ONCE) {
      const batch = accounts.slice(i, i + CLOSED_AT_ONCE);
      await rollUpAccounts(this.#stores, batch, now);
      await Promise.all(batch.map((account) => this.#closeEpoch(account, now)));
    }
    this.#opened.clear();
  }

  async #closeEpoch(account: string, now: number): Promise<void> {
    const { db, counters } = this.#stores;
    const present = await counters.read(account, []);
    if (!present || present.header.dirty) return;
    const { epoch, changes } = present.header;
    if (counters.branches.isHot(account) && !(await this.#isBookedAtBranches(account, now))) return;
    if (await counters.close(account, epoch, changes, now)) await sealEpoch(db, account, epoch, now);
  }

  /** What branches spent since the account was read raises its changes, and keeps it from being closed. */
  async #isBookedAtBranches(account: string, now: number): Promise<boolean> {
    const { branches } = this.#stores.counters;
    await rollUpAccounts(this.#stores, [account], now);
    // Only of branches that were there to be read is all booked.
    return (await branches.gather(account, [], now))?.lost.length === 0;
  }

  async #load(account: string, reason: LoadReason, epoch: number, now: number): Promise<void> {
    const isHot = this.#stores.counters.branches.isHot(account);
    // What was spent in windows that end now is told in them.
    if (isHot && reason === "turned") await this.#closeBranches(account, now).catch(unlessUnavailable);
    if (reason !== "absent" && reason !== "run" && reason !== "lost" && reason !== "unlived") await this.#refresh(account, epoch, now);
    else await this.#open(account, reason, epoch, now);
    if (!isHot) return;
    // Nothing is spent any more under what stood before. Only who changes a limit must know that it is so; else the roll-up sees to it.
    const { lostEpoch } = await this.#closeBranches(account, now).catch((error: unknown) => {
      if (reason === "limits") throw error;
      unlessUnavailable(error);
      return { lostEpoch: null };
    });
    if (lostEpoch !== null) await this.#open(account, "lost", lostEpoch, now);
  }

  async #closeBranches(account: string, now: number): Promise<DrawnBack> {
    const { branches } = this.#stores.counters;
    return branches.isHot(account) ? branches.drawBack(account, now) : { drew: false, lostEpoch: null };
  }

  async #open(account: string, reason: LoadReason, lostEpoch: number, now: number): Promise<void> {
    const opened = await this.#opener.open(account, reason, lostEpoch, now);
    if (!opened) return;
    const { epoch, foreignSeq, limitsVersion } = opened;
    if (this.#opened.size < OPENED_MAX) this.#opened.add(account);
    // What was booked or changed between our reading and our installing it found nobody to tell.
    const newest = await standingOf(this.#stores.db, account);
    if (newest && (newest.foreignSeq > foreignSeq || newest.limitsVersion !== limitsVersion)) await this.#refresh(account, epoch, now);
  }

  /** For an epoch that Redis lives in and Postgres grants nothing: makes it the present one, with the present limits. */
  async reinstate(account: string, epoch: number, now: number): Promise<void> {
    const present = await this.#stores.counters.read(account, []);
    if (present?.header.epoch !== epoch) return;
    for (let look = 1; ; look++) {
      const standing = await reinstateEpoch(this.#stores.db, account, epoch);
      if (standing === "present") return this.load(account, "limits", epoch, now);
      if (standing === "outlived") return this.load(account, "lost", epoch, now);
      // Most often another process is about to hand its number back.
      if (look === LOOKS) return this.load(account, "unlived", epoch, now);
      await sleep(LOOK_WAIT_MS);
    }
  }

  /** Reads and installs; again where Redis has heard of newer sums meanwhile. */
  async #refresh(account: string, epoch: number, now: number): Promise<void> {
    for (let attempt = 0; attempt < REFRESH_ATTEMPTS_MAX; attempt++) {
      const found = await existingInLife(this.#stores.db, account, now);
      const loaded = await readLoaded(this.#stores, found.account, now, epoch);
      const answer = await this.#stores.counters.load(loaded, "refresh", 0);
      if (answer.installed || answer.epoch !== epoch) return;
    }
  }
}
