import type { BillingTerms } from "../../src/accounts/billing-terms.ts";
import { NO_TERMS } from "../../src/accounts/billing-terms.ts";
import { subscriptionAt, type Subscription } from "../../src/accounts/subscription.ts";
import { findPlan, type Catalog } from "../../src/catalog/catalog.ts";
import type { PricedPlan } from "../../src/catalog/history-store.ts";
import { defaultCatalog, parsePlan } from "../../src/catalog/parse.ts";
import { iso } from "../../src/kernel/window.ts";
import type { InvoiceInput } from "../../src/invoices/compose.ts";
import type { Basis } from "../../src/invoices/invoice.ts";
import { billedKey } from "../../src/invoices/late-lines.ts";
import type { PricedMonth } from "../../src/usage/priced-month.ts";
import { NO_SUMS, type MeterSums } from "../../src/usage/window-sums-store.ts";

export const DAY = 86_400_000;

/** April 2027 in UTC: 30 days. */
export const APRIL = { start: Date.parse("2027-04-01T00:00:00Z"), end: Date.parse("2027-05-01T00:00:00Z") };
const MAY = { start: APRIL.end, end: Date.parse("2027-06-01T00:00:00Z") };
const MARCH = { start: Date.parse("2027-03-01T00:00:00Z"), end: APRIL.start };

/** A plan that holds from a day of April on, counted from 0: −30 is long before, 30 is the first of May. */
export interface PlanFrom {
  day: number;
  plan: string;
  /** Its fee is waived for so many days. */
  trial?: number;
}

/** What a month used under a plan, by meter: a counter's quantity (with its corrections), or a gauge's level and the days it stood. */
export type Used = Record<string, number | { used: number; corrected: number } | { level: number; days: number }>;

const sumsOf = (used: Used[string]): MeterSums => {
  if (typeof used === "number") return { ...NO_SUMS, usage: BigInt(used) };
  if ("level" in used) return { ...NO_SUMS, level: BigInt(used.level) * BigInt(used.days * DAY) };
  return { ...NO_SUMS, usage: BigInt(used.used), corrections: BigInt(used.corrected) };
};

/** Invoices of April, of an account on plans of the shipped catalogue and of `plans`. */
export class AprilInvoices {
  readonly catalog: Catalog;

  constructor(plans: object[]) {
    const shipped = defaultCatalog();
    const own = plans.map((document) => parsePlan(shipped, document));
    this.catalog = { ...shipped, plans: [...shipped.plans.filter(({ key }) => !own.some((plan) => plan.key === key)), ...own] };
  }

  priced(plan: string): PricedPlan {
    const found = findPlan(this.catalog, plan);
    if (!found) throw new Error(`there is no plan ${plan}`);
    return { plan: found, version: { version: 1, sha256: "", appliedAt: 0, catalog: this.catalog } };
  }

  /** A month, by the plans it was under and what was used under each. */
  month(window: typeof APRIL, plans: readonly PlanFrom[], usage: Readonly<Record<string, Used>>): PricedMonth {
    const history = this.history(plans);
    const names = [...new Set(history.filter((s) => s.startsAt < window.end && (s.endsAt ?? Infinity) > window.start).map((s) => s.plan))];
    const ms = (plan: string): number =>
      history
        .filter((s) => s.plan === plan)
        .reduce((sum, s) => sum + Math.max(0, Math.min(s.endsAt ?? window.end, window.end) - Math.max(s.startsAt, window.start)), 0);
    return {
      account: "acct_1",
      window,
      edges: { start: iso(window.start), end: iso(window.end) },
      monthMs: window.end - window.start,
      history,
      parts: names.map((plan) => ({
        plan,
        firstAt: window.start,
        ms: ms(plan),
        sums: new Map(Object.entries(usage[plan] ?? {}).map(([meter, used]) => [meter, sumsOf(used)])),
        priced: this.priced(plan),
      })),
    };
  }

  input(plans: readonly PlanFrom[], usage: Readonly<Record<string, Used>>, more: Partial<InvoiceInput> = {}): InvoiceInput {
    const month = this.month(APRIL, plans, usage);
    const subscription = subscriptionAt(month.history, MAY.start) ?? null;
    return {
      account: "acct_1",
      period: APRIL,
      month,
      ahead: { window: MAY, monthMs: MAY.end - MAY.start, subscription, priced: subscription && this.priced(subscription.plan) },
      feeBilled: null,
      earlier: [],
      terms: NO_TERMS,
      credits: [],
      balances: new Map(),
      ...more,
    };
  }

  /** March as it was billed and as it is now, for one meter on Pro. */
  march(meter: string, billed: Basis | null, now: Used[string]): InvoiceInput["earlier"][number] {
    const month = this.month(MARCH, [{ day: -60, plan: "pro" }], { pro: { [meter]: now } });
    return { month, billed: new Map(billed ? [[billedKey("pro", meter), billed]] : []) };
  }

  history(plans: readonly PlanFrom[]): Subscription[] {
    return plans.map(({ day, plan, trial }, i) => {
      const startsAt = Math.round(APRIL.start + day * DAY);
      const next = plans[i + 1];
      return {
        plan,
        startsAt,
        endsAt: next ? Math.round(APRIL.start + next.day * DAY) : null,
        trialEndsAt: trial === undefined ? null : startsAt + trial * DAY,
        catalogVersion: 1,
        usedBefore: null,
      };
    });
  }
}

export const termsOf = (terms: Partial<BillingTerms>): BillingTerms => ({ ...NO_TERMS, ...terms });
