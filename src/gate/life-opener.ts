import type { Account } from "../accounts/account.ts";
import type { ClosedLife, LoadedAccount } from "../counters/counters.ts";
import { sleep } from "../kernel/clock.ts";
import { unavailable } from "../kernel/errors.ts";
import { bookOwn } from "../ledger/book-own.ts";
import { openEpoch, openNextEpoch, replaceUnlived, sealEpoch, yieldEpoch } from "../ledger/epoch-store.ts";
import { rollUpReachable } from "../ledger/roll-up.ts";
import type { GateStores, LoadReason } from "./account-loader.ts";
import { grantHeld } from "./held-at-close.ts";
import { existingInLife, readLoaded } from "./loaded-account.ts";
import { RecalledLives } from "./recalled-lives.ts";

/** Limits may change between reading them and opening an epoch: of 20 changes at once on a busy machine one met it five times in a row. */
const OPEN_ATTEMPTS_MAX = 32;
/** How often, and how far apart, what another process is about to mend is looked at before it is taken for lost; a life after a closed one is likely. */
export const LOOKS = 4;
const LOOKS_AFTER_CLOSED = 40;
export const LOOK_WAIT_MS = 25;

/** Why a life is opened, and of which life it may take the place in this incarnation of Redis; 0 where of none. */
interface Cause {
  reason: LoadReason;
  replaces: number;
}

/** Begins an account's next life: everything that is known of the last one is booked first, so that its sums hold it. */
export class LifeOpener {
  readonly #stores: GateStores;
  readonly #recalled: RecalledLives;

  constructor(stores: GateStores) {
    this.#stores = stores;
    this.#recalled = new RecalledLives(stores.counters, stores.recall);
  }

  /** Answers the life it has installed; null where another lives. Throws `not_found` for an account that does not exist, `unavailable`. */
  async open(account: string, reason: LoadReason, lostEpoch: number, now: number): Promise<LoadedAccount | null> {
    const { db, counters, recall } = this.#stores;
    // Of a burst's first checks the last to hear "absent" come when the account is there already.
    if (reason === "absent" && (await counters.read(account, []))) return null;
    // All that is on its way to Postgres first: the new epoch's sums must hold it. Of an account never loaded, or closed in good order, all is there.
    const { epoch: last, account: present } = await existingInLife(db, account, now);
    const closed = reason === "absent" && last > 0 ? await counters.closed(account) : { epoch: 0, keysColdUntil: 0, holds: false };
    const isBooked = reason === "absent" && last === closed.epoch;
    // Of callers at once on several processes, one has opened an epoch that it is about to install: no reason to call on all.
    if (reason === "absent" && !isBooked && (await this.#isInstalledSoon(account, closed.epoch > 0 ? LOOKS_AFTER_CLOSED : LOOKS)))
      return null;
    if (isBooked) await this.#bookOwn(account, now);
    else if (reason === "absent" || reason === "run") await this.#recalled.callOnAll(account, last);
    else await recall.all();
    if (reason !== "absent") await rollUpReachable(this.#stores, account, now);
    const cause = { reason, replaces: reason === "lost" || reason === "unlived" ? lostEpoch : 0 };
    return this.#begin(present, cause, isBooked ? closed : null, now);
  }

  async #begin(present: Account, cause: Cause, follows: ClosedLife | null, now: number): Promise<LoadedAccount | null> {
    const { db } = this.#stores;
    const { account } = present;
    let found = present;
    for (let attempt = 0; attempt < OPEN_ATTEMPTS_MAX; attempt++) {
      const epoch = await this.#nextEpoch(found, cause, follows, now);
      // It has been granted something meanwhile: it lives.
      if (epoch === null && cause.reason === "unlived") return null;
      const done = epoch !== null && (await this.#install(found, epoch, cause, follows, now));
      if (done) return done.installed;
      const newer = await existingInLife(db, account, now);
      // Another process has begun the life that goes on with what is held: it installs it, or what is held is lost with it.
      if (follows?.holds && newer.epoch !== follows.epoch) return this.open(account, cause.reason, cause.replaces, now);
      found = newer.account;
    }
    throw unavailable("A steady view of the account's limits");
  }

  #nextEpoch({ account, limitsVersion }: Account, cause: Cause, follows: ClosedLife | null, now: number): Promise<number | null> {
    const { db } = this.#stores;
    if (cause.reason === "unlived") return replaceUnlived(db, account, cause.replaces, limitsVersion, now);
    return follows?.holds ? openNextEpoch(db, account, follows.epoch, limitsVersion, now) : openEpoch(db, account, limitsVersion, now);
  }

  /** Null when account or epoch are no longer the present ones: it is to be begun anew. `installed` is null where another was first. */
  async #install(
    found: Account,
    epoch: number,
    { replaces }: Cause,
    follows: ClosedLife | null,
    now: number,
  ): Promise<{ installed: LoadedAccount | null } | null> {
    const { db, counters } = this.#stores;
    const { account } = found;
    // After a life that was closed in good order Redis has its keys, none of which need be looked up in Postgres, and what was reserved in it.
    const loaded = {
      ...(await readLoaded(this.#stores, found, now, epoch)),
      ...(follows ? { keysColdUntil: follows.keysColdUntil, follows: follows.epoch } : {}),
    };
    if (follows?.holds && !(await grantHeld(db, counters, loaded))) {
      await this.#handBack(account, epoch, follows.epoch, now);
      return null;
    }
    const answer = await counters.load(loaded, "open", replaces);
    this.#recalled.forget(account);
    if (answer.installed) return { installed: loaded };
    await this.#handBack(account, epoch, answer.epoch, now);
    return { installed: null };
  }

  /** Another process was first. Ours was never used: its number goes back, so that grants go to the one that lives, and what it was granted is free. */
  async #handBack(account: string, unused: number, present: number, now: number): Promise<void> {
    await yieldEpoch(this.#stores.db, account, unused, present);
    await sealEpoch(this.#stores.db, account, unused, now);
  }

  async #isInstalledSoon(account: string, looks: number): Promise<boolean> {
    for (let look = 0; look < looks; look++) {
      await sleep(LOOK_WAIT_MS);
      if (await this.#stores.counters.read(account, [])) return true;
    }
    return false;
  }

  async #bookOwn(account: string, now: number): Promise<void> {
    const { db, unbooked } = this.#stores;
    const { refused } = await bookOwn(db, unbooked, [account], now);
    if (refused) throw refused;
  }
}
