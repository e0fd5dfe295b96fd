import { formatExact, fraction, jsonAmount, parseExact, round, type Fraction } from "../kernel/money.ts";
import type { MonthLine, TrueUp } from "../rating/month.ts";
import { billingUnitOf } from "../rating/plan-line.ts";
import { quotedPrice } from "../rating/quoted-price.ts";
import { jsonQuantity, tierDocument, type JsonQuantity } from "../rating/rated-document.ts";
import { NO_SUMS, type MeterSums } from "../usage/window-sums-store.ts";
import type { Basis, InvoiceLine, LineExplanation } from "./invoice.ts";
import { grouped, meterTitle, trueUpText, usageText } from "./line-text.ts";
import { ratePart, type PricedMonth, type PricedPart } from "../usage/priced-month.ts";

/** What the month's usage comes to: a line a meter that was used and has a charge, and what is missing to a plan's minimum. */
export function usageLines(month: PricedMonth): InvoiceLine[] {
  return month.parts.flatMap((part) => {
    const { lines, trueUp } = ratePart(part, month.monthMs);
    const missing = trueUp ? [trueUpLine(month, part, trueUp)] : [];
    return [...lines.map((line) => usageLine(month, part, line)), ...missing];
  });
}

/** The line of a meter's month under a plan. */
function usageLine(month: PricedMonth, part: PricedPart, line: MonthLine): InvoiceLine {
  const { meter, included, charge, quantity, rated } = line;
  const { plan, version } = part.priced;
  const sums = part.sums.get(meter.name) ?? NO_SUMS;
  const quoted = quotedPrice(meter, charge);
  return {
    kind: "usage",
    meter: meter.name,
    description: `${meterTitle(meter, version.catalog.products)}, ${plan.name}`,
    period: month.edges,
    quantity: shown(quantity),
    included: included ? shown(included) : 0,
    billable: shown(parseExact(rated.billable)),
    unitPrice: quoted.price,
    unit: billingUnitOf(meter, quoted.size),
    unitSize: quoted.size,
    amountUsdMicros: jsonAmount(rated.amountUsdMicros),
    tiers: rated.tiers.map(tierDocument),
    explain: {
      text: usageText(line, usedText(sums, meter.kind === "gauge", month.monthMs), plan.currency),
      ...ratedUnder(month, part),
      basis: basisOf(sums, rated.amountUsdMicros),
    },
  };
}

/** The name under which a minimum stands beside the meters of a plan. */
export const MINIMUM = "minimum";

/** The line that lifts a plan's usage to the least it costs. */
function trueUpLine(month: PricedMonth, part: PricedPart, trueUp: TrueUp): InvoiceLine {
  const { name, currency } = part.priced.plan;
  return minimumLine(month, {
    description: `${name}: what is missing to the minimum of the month`,
    dueUsdMicros: jsonAmount(trueUp.amountUsdMicros),
    explain: {
      text: trueUpText(trueUp, currency),
      ...ratedUnder(month, part),
      basis: basisOf(NO_SUMS, trueUp.amountUsdMicros),
    },
  });
}

interface Missing {
  description: string;
  dueUsdMicros: number;
  explain: LineExplanation;
}

/** A line for what is missing to a minimum: one of it, at what is due. */
export const minimumLine = ({ edges }: PricedMonth, { description, dueUsdMicros, explain }: Missing): InvoiceLine => ({
  kind: "usage",
  description,
  period: edges,
  quantity: 1,
  included: 0,
  billable: 1,
  unitPrice: dueUsdMicros,
  unit: MINIMUM,
  unitSize: 1,
  amountUsdMicros: dueUsdMicros,
  explain,
});

/** What a line of a part of the month was rated under. */
export const ratedUnder = ({ edges, monthMs }: PricedMonth, { priced: { plan, version } }: PricedPart) => ({
  plan: plan.key,
  catalogVersion: version.version,
  month: edges,
  monthMilliseconds: monthMs,
});

/** What a line says it was rated from. */
export const basisOf = ({ usage, corrections, level }: MeterSums, amountUsdMicros: bigint): Basis => ({
  usage: String(usage),
  corrections: String(corrections),
  byteMilliseconds: String(level),
  amountUsdMicros: jsonAmount(amountUsdMicros),
});

/** A quantity for people: whole base units. What is rated is the exact fraction. */
export const shown = (quantity: Fraction): JsonQuantity => jsonQuantity(String(round(quantity)));

/** How a quantity came about: "1,500,000 used − 200 corrected", "414… byte-ms ÷ 2,592,000,000 ms = 160,000,000,000 on average". */
function usedText({ usage, corrections, level }: MeterSums, gauge: boolean, monthMs: number): string {
  if (gauge) {
    const average = formatExact(fraction(level, BigInt(monthMs)));
    return `${grouped(level)} byte-ms ÷ ${grouped(monthMs)} ms = ${grouped(average)} on average`;
  }
  if (corrections === 0n) return `${grouped(usage)} used`;
  return `${grouped(usage)} used ${corrections < 0n ? "−" : "+"} ${grouped(corrections < 0n ? -corrections : corrections)} corrected`;
}
