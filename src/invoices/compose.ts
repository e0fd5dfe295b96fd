import type { BillingTerms } from "../accounts/billing-terms.ts";
import { subscriptionAt } from "../accounts/subscription.ts";
import { isPriced, type Plan } from "../catalog/catalog.ts";
import { WeirError } from "../kernel/errors.ts";
import type { Window } from "../kernel/window.ts";
import type { CreditLeft } from "../rating/credits.ts";
import type { Balances } from "./balance-store.ts";
import { closed } from "./closing-lines.ts";
import { feeAhead, feeAheadSettled, prorationLines, type MonthAhead } from "./fee-lines.ts";
import type { InvoiceBody, InvoiceLine } from "./invoice.ts";
import { lateLines, type Billed } from "./late-lines.ts";
import type { PricedMonth } from "../usage/priced-month.ts";
import { usageLines } from "./usage-lines.ts";

/** A month that was billed before, as the ledger has it now, and what it was billed for. */
export interface BilledMonth {
  month: PricedMonth;
  billed: Billed;
}

/** Everything an invoice follows from. */
export interface InvoiceInput {
  account: string;
  /** What the invoice says it is for: its billing month. */
  period: Window;
  /** The month that has ended; null for the invoice that an account begins with, which bills its first fee alone. */
  month: PricedMonth | null;
  ahead: MonthAhead;
  /** What the invoice before billed of this month's fee; null while that is a draft, or where there was no month before. */
  feeBilled: bigint | null;
  earlier: readonly BilledMonth[];
  terms: BillingTerms;
  /** What is left of the prepaid credits that cover the month. */
  credits: readonly CreditLeft[];
  /** What earlier invoices have left to this one. */
  balances: Balances;
}

/**
 * The invoice of a billing month: usage in arrears, changes of plan inside the month, the fee of the month to come, and what came late for
 * months before; then discounts, prepaid credits and tax, and what earlier invoices have left. A pure function: the upcoming invoice, the draft, the final one and a simulation all come out of
 * it, and the same input gives the same bytes. Null where there is nothing to say, as for an account on a free plan.
 */
export function compose(input: InvoiceInput): InvoiceBody | null {
  const { terms, credits, balances, period } = input;
  const lines = linesBeforeTerms(input);
  if (lines.length === 0) return null;
  const currency = currencyOf(input);
  return closed(lines, { terms, credits, balance: balances.get(currency) ?? 0n, period, currency });
}

/** Fees, usage and what came late: what discounts, credits and taxes are reckoned on. */
export const linesBeforeTerms = ({ month, ahead, feeBilled, earlier }: InvoiceInput): InvoiceLine[] => [
  ...feeAhead(ahead),
  ...(month ? [...feeAheadSettled(month, feeBilled), ...prorationLines(month), ...usageLines(month)] : []),
  ...earlier.flatMap((before) => lateLines(before.month, before.billed)),
];

/** The plan that the month is under at `now`, as it is priced; undefined where none is. */
export const planInForce = ({ month }: InvoiceInput, now: number): Plan | undefined => {
  const subscription = month && subscriptionAt(month.history, now);
  return month?.parts.find(({ plan }) => plan === subscription?.plan)?.priced.plan;
};

/** Every plan of an account that costs something is in one currency; the change to another one is refused (gate/limit-changes.ts). */
export function currencyOf({ month, ahead, earlier }: InvoiceInput): string {
  const parts = [...(month?.parts ?? []), ...earlier.flatMap((before) => before.month.parts)];
  const plans: Plan[] = [...parts.map((part) => part.priced.plan), ...(ahead.priced ? [ahead.priced.plan] : [])];
  const currencies = new Set(plans.filter(isPriced).map((plan) => plan.currency));
  const [currency = "USD", other] = currencies;
  if (other !== undefined) throw new WeirError("conflict", `Plans in ${currency} and in ${other} stand on one invoice.`);
  return currency;
}
