import type { Account, AccountChange } from "../accounts/account.ts";
import { findAccount, putAccount } from "../accounts/account-store.ts";
import { plansOf, putSubscription, withdrawChange } from "../accounts/subscription-store.ts";
import { DEFAULT_PLAN, findMeter, findPlan, isPriced, type Plan } from "../catalog/catalog.ts";
import { notFound, validationFailed, WeirError } from "../kernel/errors.ts";
import { bucketStart, DAY_MS, windowsAt, type BillingCalendar, type Period } from "../kernel/window.ts";
import { rollUpAccounts } from "../ledger/roll-up.ts";
import type { CapChange } from "../limits/cap.ts";
import { deleteCap, putCap } from "../limits/cap-store.ts";
import type { AccountLoader, GateStores } from "./account-loader.ts";
import { grantAhead } from "./grant-ahead.ts";
import type { Granter } from "./granter.ts";

/**
 * Whatever moves a limit: Postgres first, then Redis hears of it, then the caller gets its answer. So the very next check, on any
 * process, decides by the new limit. When Redis cannot be told the caller gets `503` and repeats the call.
 */
export class LimitChanges {
  readonly #stores: GateStores;
  readonly #loader: AccountLoader;
  readonly #granter: Granter;
  readonly #listeners: ((account: string) => Promise<void>)[] = [];

  /** `stores` are the caller's; `loader` and `granter` act for Weir itself. */
  constructor(stores: GateStores, loader: AccountLoader, granter: Granter) {
    this.#stores = stores;
    this.#loader = loader;
    this.#granter = granter;
  }

  /** Has `listener` told of every account whose limits moved here, before the caller of the change gets its answer. It must not reject. */
  onChange(listener: (account: string) => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /** Creates or changes an account. */
  async putAccount(account: string, change: AccountChange, now: number): Promise<{ account: Account; created: boolean }> {
    const { db } = this.#stores;
    if (change.plan !== undefined) await this.#requirePlan(account, change.plan);
    const before = await findAccount(db, account, now);
    if (before && change.plan !== undefined) await this.#bookUsed(account, now);
    const plan = { defaultPlan: DEFAULT_PLAN, bucketStart: before ? bucketAt(now, before.calendar) : now };
    const { created } = await putAccount(db, account, change, plan, now);
    const after = await this.#account(account, now);
    const calendarMoved =
      before !== null && (before.calendar.anchorDay !== after.calendar.anchorDay || before.calendar.timezone !== after.calendar.timezone);
    if (calendarMoved) await this.#loader.reopen(account, now);
    if (calendarMoved || (!created && change.plan !== undefined)) await this.#loader.refreshAndTell(account, now);
    else if (!created) await this.#loader.refresh(account, now);
    await this.#tell(account);
    return { account: after, created };
  }

  /**
   * Changes the plan: now, or when the billing month ends; its fee begins after `trialDays`. Throws `conflict` where the plan's currency
   * is not the account's.
   */
  async changePlan(account: string, plan: string, effective: "now" | "period_end", now: number, trialDays = 0): Promise<Account> {
    await this.#requirePlan(account, plan);
    const before = await this.#account(account, now);
    const startsAt = effective === "now" ? now : windowsAt(now, before.calendar).month.end;
    const change = {
      plan,
      previousPlan: before.plan,
      startsAt,
      trialEndsAt: trialDays === 0 ? null : startsAt + trialDays * DAY_MS,
      bucketStart: bucketAt(now, before.calendar),
    };
    if (effective === "now") await this.#bookUsed(account, now);
    await putSubscription(this.#stores.db, account, change, now);
    await this.#moved(account, now);
    return this.#account(account, now);
  }

  /** Ends the subscription: the account is on the free plan from now, or from the end of the billing month, on. */
  cancel(account: string, effective: "now" | "period_end", now: number): Promise<Account> {
    return this.changePlan(account, DEFAULT_PLAN, effective, now);
  }

  /** Withdraws a change that has not begun, such as a cancellation at the end of the month. Throws `conflict` where there is none. */
  async resume(account: string, now: number): Promise<Account> {
    const { plan } = await this.#account(account, now);
    if (!(await withdrawChange(this.#stores.db, account, plan, now)))
      throw new WeirError("conflict", "No change of plan is waiting: what is in force already is changed by a new subscription.");
    await this.#loader.refreshAndTell(account, now);
    await this.#tell(account);
    return this.#account(account, now);
  }

  async setCap(account: string, meter: string, cap: CapChange, now: number): Promise<void> {
    if (!findMeter(this.#stores.catalog.catalog, meter)) throw notFound(`Meter ${meter}`);
    await this.#account(account, now);
    await putCap(this.#stores.db, account, meter, cap, now);
    await this.#moved(account, now);
  }

  /** Throws `not_found` where there is no such cap. */
  async removeCap(account: string, meter: string, period: Period, now: number): Promise<void> {
    const removed = await deleteCap(this.#stores.db, account, meter, period);
    if (!removed) throw notFound(`A cap of ${meter} per ${period}`);
    await this.#moved(account, now);
  }

  /** Redis hears of the limits, then has budget to go on with, then whoever listens is told. */
  async #moved(account: string, now: number): Promise<void> {
    const { counters, catalog } = this.#stores;
    await this.#loader.refreshAndTell(account, now);
    await grantAhead(counters, this.#granter, account, catalog.catalog.meters);
    await this.#tell(account);
  }

  async #tell(account: string): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener(account)));
  }

  async #account(account: string, now: number): Promise<Account> {
    const found = await findAccount(this.#stores.db, account, now);
    if (!found) throw notFound(`Account ${account}`);
    return found;
  }

  /** What was used until now is billed under the plan until now: a change notes what is booked of its hour, so all of it must be. */
  async #bookUsed(account: string, now: number): Promise<void> {
    await rollUpAccounts(this.#stores, [account], now);
  }

  async #requirePlan(account: string, key: string): Promise<void> {
    const { catalog } = this.#stores.catalog;
    const wanted = findPlan(catalog, key);
    if (!wanted) throw validationFailed([{ path: "plan", message: `must be one of ${catalog.plans.map((p) => p.key).join(", ")}` }]);
    const foreign = (plan: Plan): boolean => isPriced(plan) && plan.currency !== wanted.currency;
    if (!isPriced(wanted) || !catalog.plans.some(foreign)) return;
    const other = (await plansOf(this.#stores.db, account)).map((had) => findPlan(catalog, had)).find((had) => had && foreign(had));
    if (!other) return;
    const message = `The account is billed in ${other.currency} (plan ${other.key}); a plan in ${wanted.currency} needs an account of its own.`;
    throw new WeirError("conflict", message);
  }
}

/** Where usage at `now` is booked. */
const bucketAt = (now: number, calendar: BillingCalendar): number => bucketStart(now, windowsAt(now, calendar).month);
