import { findAccount } from "../accounts/account-store.ts";
import { plan, stopsAtCredits, type Catalog } from "../catalog/catalog.ts";
import type { Header, PeriodCounters } from "../counters/layout.ts";
import { unavailable } from "../kernel/errors.ts";
import { RecentMap } from "../kernel/recent.ts";
import { windowsAt } from "../kernel/window.ts";
import { creditLimits, putCreditLimits } from "../limits/credit-limit-store.ts";
import { creditedMeters } from "../limits/in-force.ts";
import { raised, type CreditedMonth, type CreditWish } from "../rating/credit-limits.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";

/** Reckons an account's running month: what credits are left for it, what is due, what more of each meter costs. */
export type ReckonCredits = (account: string, meters: readonly string[], now: number) => Promise<CreditedMonth>;

/** Limits, grants and plans may change while a raise is reckoned; then it is reckoned again, so often. */
const ATTEMPTS_MAX = 32;
/** Accounts whose last refusal a process remembers. */
const REFUSALS_MAX = 10_000;
/** How long a refusal stands though nothing it can see has changed, milliseconds: usage may have been corrected. */
const REFUSAL_MS = 1_000;

/** What became of a wish for more. */
export interface CreditAnswer {
  /** Limits have moved: ask the counters again. */
  raised: boolean;
  /** Meters that stop where credits are exhausted. */
  credited: ReadonlySet<string>;
}

interface Refusal {
  limitsVersion: number;
  monthStart: number;
  until: number;
  wishes: readonly CreditWish[];
  credited: ReadonlySet<string>;
}

/** Wishes of one account that wait for the raise before theirs. */
interface Batch {
  wishes: CreditWish[];
  header: Header;
  done: Promise<CreditAnswer>;
}

const NOT_CREDITED: CreditAnswer = { raised: false, credited: new Set() };

/**
 * Limits of accounts whose plan stops at their prepaid credits. What a limit may cost is set aside for it in Postgres before anything of it
 * is spent (rating/credit-limits.ts), as budget is granted to Redis: so nothing that happens at once passes the credits, and a check
 * that has room asks nobody. Only one that has none comes here.
 */
export class CreditRaises {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;
  readonly #reckon: ReckonCredits;
  readonly #running = new Map<string, Promise<CreditAnswer>>();
  readonly #waiting = new Map<string, Batch>();
  readonly #refusals = new RecentMap<string, Refusal>(REFUSALS_MAX);

  constructor(stores: GateStores, loader: AccountLoader, reckon: ReckonCredits) {
    this.#stores = stores;
    this.#loader = loader;
    this.#reckon = reckon;
  }

  /** False where no plan stops at credits: then nothing need be asked. */
  get anywhere(): boolean {
    return anywhere(this.#stores.catalog.catalog);
  }

  /** The meters of an account that stop where credits are exhausted. */
  async creditedBy(account: string, now: number): Promise<ReadonlySet<string>> {
    if (!this.anywhere) return NOT_CREDITED.credited;
    const { db, catalog } = this.#stores;
    const found = await findAccount(db, account, now);
    return found ? new Set(creditedMeters(catalog.catalog, plan(catalog.catalog, found.plan))) : NOT_CREDITED.credited;
  }

  /**
   * Raises limits so that counters may come to what is wished for, if credits cover it. One raise an account at a time; wishes that come
   * meanwhile join the next one. `raised` does not say that a wish is fulfilled: others may have been before it.
   */
  async raise(account: string, wish: CreditWish, header: Header, now: number): Promise<CreditAnswer> {
    if (!this.anywhere || wish.needs.size === 0) return NOT_CREDITED;
    const refusal = this.#refusals.get(account);
    if (refusal && stillStands(refusal, wish, header, now)) return { raised: false, credited: refusal.credited };
    const batch = this.#waiting.get(account) ?? this.#schedule(account, header, now);
    batch.wishes.push(wish);
    return batch.done;
  }

  #schedule(account: string, header: Header, now: number): Batch {
    const before = this.#running.get(account) ?? Promise.resolve(NOT_CREDITED);
    const batch: Batch = { wishes: [], header, done: Promise.resolve(NOT_CREDITED) };
    batch.done = before
      .catch(() => NOT_CREDITED)
      .then(() => {
        this.#waiting.delete(account);
        return this.#raise(account, batch, now);
      })
      .finally(() => {
        if (this.#running.get(account) === batch.done) this.#running.delete(account);
      });
    this.#waiting.set(account, batch);
    this.#running.set(account, batch.done);
    return batch;
  }

  async #raise(account: string, { wishes, header }: Batch, now: number): Promise<CreditAnswer> {
    const { db, catalog } = this.#stores;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await findAccount(db, account, now);
      const inForce = found && plan(catalog.catalog, found.plan);
      const monthStart = found ? windowsAt(now, found.calendar).month.start : 0;
      const refuse = (credited: ReadonlySet<string>): CreditAnswer => {
        const limitsVersion = found?.limitsVersion ?? 0;
        this.#refusals.set(account, { limitsVersion, monthStart, until: now + REFUSAL_MS, wishes, credited });
        return { raised: false, credited };
      };
      if (!found || !inForce || !stopsAtCredits(inForce)) return refuse(NOT_CREDITED.credited);
      const of = { account, monthStart, plan: inForce.key };
      const meters = creditedMeters(catalog.catalog, inForce);
      const credited = new Set(meters);
      const standing = await creditLimits(db, of);
      const limits = raised(await this.#reckon(account, meters, now), standing, wishes);
      const moved = meters.some((meter) => limits.get(meter) !== standing.get(meter));
      // Whoever put them into force may have been killed before it told Redis.
      if (!moved && header.limitsVersion === found.limitsVersion) return refuse(credited);
      if (moved && !(await putCreditLimits(db, of, found.limitsVersion, limits))) continue;
      await this.#loader.refresh(account, now);
      return { raised: true, credited };
    }
    throw unavailable("A steady view of the account's credits");
  }
}

/** What of `asked` does not fit within the plan's limit of the month. */
export function wishFor(
  asked: readonly (readonly [meter: string, quantity: number])[],
  month: ReadonlyMap<string, PeriodCounters | undefined>,
  partial: boolean,
): CreditWish {
  const needs = asked.flatMap(([meter, quantity]) => {
    const { plan: limit = null, used = 0, held = 0 } = month.get(meter) ?? {};
    return quantity > 0 && limit !== null && used + held + quantity > limit ? [[meter, { stands: used + held, quantity }] as const] : [];
  });
  return { needs: new Map(needs), partial };
}

/** Nothing has changed that could cover what was refused, and one of the wishes refused then wanted no more than this one. */
function stillStands(refusal: Refusal, { needs }: CreditWish, header: Header, now: number): boolean {
  if (header.limitsVersion !== refusal.limitsVersion || header.month.start !== refusal.monthStart || now >= refusal.until) return false;
  if (refusal.credited.size === 0) return true;
  return refusal.wishes.some((refused) =>
    [...refused.needs].every(([meter, { stands, quantity }]) => {
      const need = needs.get(meter);
      return need !== undefined && need.stands + need.quantity >= stands + quantity;
    }),
  );
}

const known = new WeakMap<Catalog, boolean>();

function anywhere(catalog: Catalog): boolean {
  let answer = known.get(catalog);
  if (answer === undefined) known.set(catalog, (answer = catalog.plans.some(stopsAtCredits)));
  return answer;
}
