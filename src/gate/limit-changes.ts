import type { Account, AccountChange } from "../accounts/account.ts";
import { findAccount, putAccount, putSubscription } from "../accounts/account-store.ts";
import { DEFAULT_PLAN, findMeter, findPlan } from "../catalog/catalog.ts";
import { notFound, validationFailed } from "../kernel/errors.ts";
import { windowsAt, type Period } from "../kernel/window.ts";
import type { CapChange } from "../limits/cap.ts";
import { deleteCap, putCap } from "../limits/cap-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";

/**
 * Whatever moves a limit: Postgres first, then Redis hears of it, then the caller gets its answer. So the very next check, on any
 * process, decides by the new limit. When Redis cannot be told the caller gets `503` and repeats the call.
 */
export class LimitChanges {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;

  constructor(stores: GateStores, loader: AccountLoader) {
    this.#stores = stores;
    this.#loader = loader;
  }

  /** Creates or changes an account. */
  async putAccount(account: string, change: AccountChange, now: number): Promise<{ account: Account; created: boolean }> {
    const { db } = this.#stores;
    if (change.plan !== undefined) this.#requirePlan(change.plan);
    const before = await findAccount(db, account, now);
    if (before) await this.#loader.settleThresholds(account, now);
    const { created } = await putAccount(db, account, change, DEFAULT_PLAN, now);
    const after = await this.#account(account, now);
    const calendarMoved =
      before !== null && (before.calendar.anchorDay !== after.calendar.anchorDay || before.calendar.timezone !== after.calendar.timezone);
    if (calendarMoved) await this.#loader.reopen(account, now);
    else if (!created) await this.#loader.refresh(account, now);
    return { account: after, created };
  }

  /** Changes the plan: now, or when the billing month ends. */
  async changePlan(account: string, plan: string, effective: "now" | "period_end", now: number): Promise<Account> {
    this.#requirePlan(plan);
    const before = await this.#account(account, now);
    const startsAt = effective === "now" ? now : windowsAt(now, before.calendar).month.end;
    await this.#loader.settleThresholds(account, now);
    await putSubscription(this.#stores.db, account, { plan, previousPlan: before.plan, startsAt }, now);
    await this.#loader.refresh(account, now);
    return this.#account(account, now);
  }

  async setCap(account: string, meter: string, cap: CapChange, now: number): Promise<void> {
    if (!findMeter(this.#stores.catalog.catalog, meter)) throw notFound(`Meter ${meter}`);
    await this.#account(account, now);
    await this.#loader.settleThresholds(account, now);
    await putCap(this.#stores.db, account, meter, cap, now);
    await this.#loader.refresh(account, now);
  }

  /** Throws `not_found` where there is no such cap. */
  async removeCap(account: string, meter: string, period: Period, now: number): Promise<void> {
    await this.#loader.settleThresholds(account, now);
    const removed = await deleteCap(this.#stores.db, account, meter, period);
    if (!removed) throw notFound(`A cap of ${meter} per ${period}`);
    await this.#loader.refresh(account, now);
  }

  async #account(account: string, now: number): Promise<Account> {
    const found = await findAccount(this.#stores.db, account, now);
    if (!found) throw notFound(`Account ${account}`);
    return found;
  }

  #requirePlan(key: string): void {
    const { catalog } = this.#stores.catalog;
    if (findPlan(catalog, key)) return;
    throw validationFailed([{ path: "plan", message: `must be one of ${catalog.plans.map((p) => p.key).join(", ")}` }]);
  }
}
