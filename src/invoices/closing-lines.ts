import type { BillingTerms } from "../accounts/billing-terms.ts";
import { jsonAmount } from "../kernel/money.ts";
import { iso, type Window } from "../kernel/window.ts";
import type { CreditLeft } from "../rating/credits.ts";
import { applyDiscounts, discountsAt, type AppliedDiscount } from "../rating/discount.ts";
import { taxed, type TaxAmount } from "../rating/tax.ts";
import { creditLines, usageToPay } from "./credit-lines.ts";
import type { InvoiceBody, InvoiceLine, LineExplanation } from "./invoice.ts";
import { amount } from "./line-text.ts";

/** What an invoice is closed with. */
export interface ClosedWith {
  terms: BillingTerms;
  /** What is left of the prepaid credits that cover its month. */
  credits: readonly CreditLeft[];
  /** What earlier invoices have left to this one, in micro-units: above zero is owed to the account. */
  balance: bigint;
  period: Window;
  currency: string;
}

/** Takes the terms' discounts off what `lines` add up to, then pays usage with credits, taxes the rest, settles balances, and answers the whole invoice. */
export function closed(lines: readonly InvoiceLine[], { terms, credits, balance, period, currency }: ClosedWith): InvoiceBody {
  const place = { period: { start: iso(period.start), end: iso(period.end) }, currency };
  const discounts = discountsOf(lines, terms, period).map((d) => discountLine(d, place));
  const burned = creditLines({ lines, discountsUsdMicros: sumOf(discounts), grants: credits, ...place });
  const before = [...lines, ...discounts, ...burned];
  const { taxes, taxUsdMicros } = taxed(sumOf(before), terms.taxes);
  const own = [...before, ...taxes.map((tax) => taxLine(tax, place))];
  const all = [...own, ...balanceLines(sumOf(own), balance, place)];
  return { currency, lines: all, totalUsdMicros: jsonAmount(sumOf(all)), taxUsdMicros: jsonAmount(taxUsdMicros) };
}

/** What prepaid credits may pay of `lines`, discounts taken off. */
export function dueToCredits(lines: readonly InvoiceLine[], terms: BillingTerms, period: Window): bigint {
  return usageToPay(
    lines,
    discountsOf(lines, terms, period).reduce((sum, { amountUsdMicros }) => sum + amountUsdMicros, 0n),
  );
}

const discountsOf = (lines: readonly InvoiceLine[], terms: BillingTerms, period: Window): AppliedDiscount[] =>
  applyDiscounts(sumOf(lines), discountsAt(terms.discounts, period.end));

const sumOf = (lines: readonly InvoiceLine[]): bigint => lines.reduce((sum, line) => sum + BigInt(line.amountUsdMicros), 0n);

interface Place {
  period: { start: string; end: string };
  currency: string;
}

function discountLine({ discount, baseUsdMicros, amountUsdMicros }: AppliedDiscount, place: Place): InvoiceLine {
  const of = amount(baseUsdMicros, place.currency);
  const rate = "percent" in discount ? `${discount.percent} % of ${of}` : `${amount(-amountUsdMicros, place.currency)} off ${of}`;
  return termsLine("credit", discount.name, amountUsdMicros, place, {
    text: `${rate} = ${amount(amountUsdMicros, place.currency)}`,
    baseUsdMicros: jsonAmount(baseUsdMicros),
  });
}

/** A tax that the prices contain adds nothing to the invoice: its line says what it is, and amounts to 0. */
function taxLine({ rate, baseUsdMicros, amountUsdMicros }: TaxAmount, place: Place): InvoiceLine {
  const { currency } = place;
  const text = `${rate.percent} % of ${amount(baseUsdMicros, currency)} = ${amount(amountUsdMicros, currency)}`;
  const description = `${rate.name} ${rate.percent} %${rate.inclusive ? ", contained in the prices" : ""}`;
  return termsLine("tax", description, rate.inclusive ? 0n : amountUsdMicros, place, {
    text: rate.inclusive ? `${text}, contained in the prices` : text,
    baseUsdMicros: jsonAmount(baseUsdMicros),
    taxUsdMicros: jsonAmount(amountUsdMicros),
    inclusive: rate.inclusive,
  });
}

/** What is left of earlier invoices comes off after tax, since it was taxed there; what there is below zero then goes to the next one. */
function balanceLines(due: bigint, balance: bigint, place: Place): InvoiceLine[] {
  const { currency } = place;
  const left = due - balance;
  const from = `${amount(balance, currency)} was left of earlier invoices`;
  const sum = balance === 0n ? "" : `${amount(due, currency)} − ${amount(balance, currency)} = `;
  const to = `${sum}${amount(left, currency)}, less than nothing, goes to the next invoice`;
  return [
    ...(balance === 0n
      ? []
      : [termsLine("credit", "Balance of earlier invoices", -balance, place, { text: from, balance: "from_earlier" })]),
    ...(left >= 0n ? [] : [termsLine("credit", "Balance, carried to the next invoice", -left, place, { text: to, balance: "to_next" })]),
  ];
}

function termsLine(kind: "credit" | "tax", description: string, micros: bigint, { period }: Place, explain: LineExplanation): InvoiceLine {
  const amountUsdMicros = jsonAmount(micros);
  return {
    kind,
    description,
    period,
    quantity: 1,
    included: 0,
    billable: 1,
    unitPrice: amountUsdMicros,
    unit: kind,
    unitSize: 1,
    amountUsdMicros,
    explain,
  };
}
