import { subscriptionAt, type Subscription } from "../accounts/subscription.ts";
import type { PricedPlan } from "../catalog/history-store.ts";
import { jsonAmount } from "../kernel/money.ts";
import { iso, type Window } from "../kernel/window.ts";
import { prorated } from "../rating/proration.ts";
import type { InvoiceLine } from "./invoice.ts";
import { feeText } from "./line-text.ts";
import type { PricedMonth } from "../usage/priced-month.ts";

/** A month whose fee is billed before it begins. */
export interface MonthAhead {
  window: Window;
  monthMs: number;
  /** In force when the month begins; null where none is. */
  subscription: Subscription | null;
  priced: PricedPlan | null;
}

/** The fee of the month to come, as it stands when it begins: one line, or none where nothing is due. */
export function feeAhead({ window, monthMs, subscription, priced }: MonthAhead): InvoiceLine[] {
  if (!subscription || !priced) return [];
  const from = Math.max(window.start, subscription.trialEndsAt ?? window.start);
  return feeLine({ priced, from, window, monthMs, sign: 1n, what: "" });
}

/**
 * What changes of plan inside the month come to: for each, what is left of the old fee is given back and the new one charged from that
 * millisecond on. A subscription that begins inside the month is a change from nothing.
 */
export function prorationLines(month: PricedMonth): InvoiceLine[] {
  const { window, monthMs, history } = month;
  return history.flatMap((after, i) => {
    if (after.startsAt <= window.start || after.startsAt >= window.end) return [];
    const before = history[i - 1];
    if (before?.plan === after.plan && before.trialEndsAt === after.trialEndsAt) return [];
    const part = (subscription: Subscription, sign: 1n | -1n, what: string): InvoiceLine[] => {
      const priced = pricedIn(month, subscription.plan);
      const from = Math.max(after.startsAt, subscription.trialEndsAt ?? after.startsAt);
      return priced ? feeLine({ priced, from, window, monthMs, sign, what }) : [];
    };
    return [...(before ? part(before, -1n, ", not used") : []), ...part(after, 1n, "")];
  });
}

/**
 * The month's own fee was billed on the invoice before it. Where the plan was changed in the very millisecond the month began, after that
 * invoice was final, what was billed is given back and what is due charged. `billed` is null while the invoice before is a draft.
 */
export function feeAheadSettled(month: PricedMonth, billed: bigint | null): InvoiceLine[] {
  const { window, monthMs, history } = month;
  if (billed === null) return [];
  const subscription = subscriptionAt(history, window.start) ?? null;
  const priced = subscription && pricedIn(month, subscription.plan);
  const due = feeAhead({ window, monthMs, subscription, priced });
  const dueMicros = due.reduce((sum, line) => sum + BigInt(line.amountUsdMicros), 0n);
  if (dueMicros === billed) return [];
  return [
    ...(billed === 0n ? [] : [givenBack(window, monthMs, billed, priced)]),
    ...due.map((line) => ({ ...line, kind: "proration" as const })),
  ];
}

const pricedIn = (month: PricedMonth, plan: string): PricedPlan | null => month.parts.find((part) => part.plan === plan)?.priced ?? null;

interface Fee {
  priced: PricedPlan;
  from: number;
  window: Window;
  monthMs: number;
  sign: 1n | -1n;
  what: string;
}

function feeLine({ priced: { plan, version }, from, window, monthMs, sign, what }: Fee): InvoiceLine[] {
  const ms = window.end - from;
  const fee = BigInt(plan.subscriptionUsdMicrosPerMonth);
  if (ms <= 0 || fee === 0n) return [];
  const due = sign * prorated(fee, ms, monthMs);
  const whole = ms === monthMs && sign === 1n;
  return [
    {
      kind: whole ? "subscription" : "proration",
      description: `${plan.name}, ${whole ? "a month" : "the rest of a month"}${what}`,
      period: { start: iso(from), end: iso(window.end) },
      ...(whole ? { quantity: 1, included: 0, billable: 1 } : { quantity: ms, included: 0, billable: ms }),
      unitPrice: jsonAmount(sign * fee),
      ...(whole ? { unit: "month", unitSize: 1 } : { unit: "ms of the month", unitSize: monthMs }),
      amountUsdMicros: jsonAmount(due),
      explain: {
        text: feeText(sign * fee, ms, monthMs, due, plan.currency),
        plan: plan.key,
        catalogVersion: version.version,
        month: { start: iso(window.start), end: iso(window.end) },
        monthMilliseconds: monthMs,
      },
    },
  ];
}

function givenBack(window: Window, monthMs: number, billed: bigint, priced: PricedPlan | null): InvoiceLine {
  const currency = priced?.plan.currency ?? "USD";
  const period = { start: iso(window.start), end: iso(window.end) };
  return {
    kind: "proration",
    description: "Fee of the month, billed before the plan was changed",
    period,
    quantity: 1,
    included: 0,
    billable: 1,
    unitPrice: jsonAmount(-billed),
    unit: "month",
    unitSize: 1,
    amountUsdMicros: jsonAmount(-billed),
    explain: { text: feeText(-billed, monthMs, monthMs, -billed, currency), month: period, monthMilliseconds: monthMs },
  };
}
