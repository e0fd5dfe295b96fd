import { fraction, jsonAmount, parseExact, round, subtract } from "../kernel/money.ts";
import type { Meter } from "../catalog/catalog.ts";
import { billingUnitOf, ratePlanLine } from "../rating/plan-line.ts";
import { quotedPrice } from "../rating/quoted-price.ts";
import { NO_SUMS, type MeterSums } from "../usage/window-sums-store.ts";
import type { Basis, InvoiceLine } from "./invoice.ts";
import { amount, meterTitle } from "./line-text.ts";
import { isCharged, quantityOf, ratePart, type PricedMonth, type PricedPart } from "../usage/priced-month.ts";
import { basisOf, MINIMUM, minimumLine, ratedUnder, shown } from "./usage-lines.ts";

/** What lines of a month were billed by, by plan and meter. */
export type Billed = ReadonlyMap<string, Basis>;

export const billedKey = (plan: string, meter: string): string => `${plan}/${meter}`;

const NOTHING: Basis = { usage: "0", corrections: "0", byteMilliseconds: "0", amountUsdMicros: 0 };

/**
 * What a month that is billed already comes to now, less what it was billed for: usage that was booked late, and corrections, each as a
 * line of its own. What the month was billed for, with all such lines after it, is always what the ledger says of it.
 */
export function lateLines(month: PricedMonth, billed: Billed): InvoiceLine[] {
  return month.parts.filter(isCharged).flatMap((part) => {
    const { plan, version } = part.priced;
    const meters = version.catalog.meters.filter(({ name }) => Object.hasOwn(plan.charges, name));
    return [...meters.flatMap((meter) => lateLinesOf(month, part, meter, billed)), ...lateTrueUp(month, part, billed)];
  });
}

function lateLinesOf(month: PricedMonth, part: PricedPart, meter: Meter, billed: Billed): InvoiceLine[] {
  const before = billed.get(billedKey(part.plan, meter.name)) ?? NOTHING;
  const was = sumsOf(before);
  const is = part.sums.get(meter.name) ?? NO_SUMS;
  const step = { month, part, meter };
  const late = is.usage === was.usage && is.level === was.level ? null : { ...is, corrections: was.corrections };
  const lines = late ? [differenceLine({ ...step, kind: "usage", before, after: late })] : [];
  if (is.corrections === was.corrections) return lines;
  const between = lines[0]?.explain.basis ?? before;
  return [...lines, differenceLine({ ...step, kind: "correction", before: between, after: is })];
}

interface Difference {
  month: PricedMonth;
  part: PricedPart;
  meter: Meter;
  kind: "usage" | "correction";
  before: Basis;
  after: MeterSums;
}

function differenceLine({ month, part, meter, kind, before, after }: Difference): InvoiceLine {
  const { plan, version } = part.priced;
  const gauge = meter.kind === "gauge";
  const rated = (sums: MeterSums) => ratePlanLine(plan, meter, quantityOf(sums, gauge, month.monthMs));
  const [was, is] = [rated(sumsOf(before)), rated(after)];
  const due = is.rated.amountUsdMicros - BigInt(before.amountUsdMicros);
  const quantity = gauge ? fraction(after.level - sumsOf(before).level, BigInt(month.monthMs)) : fraction(moved(before, after));
  const billable = subtract(parseExact(is.rated.billable), parseExact(was.rated.billable));
  const quoted = quotedPrice(meter, is.charge);
  const what = kind === "usage" ? "usage that came after its month was billed" : "correction of a month that was billed";
  const basis = basisOf(after, is.rated.amountUsdMicros);
  return {
    kind,
    meter: meter.name,
    description: `${meterTitle(meter, version.catalog.products)}, ${plan.name}: ${what}`,
    period: month.edges,
    quantity: shown(quantity),
    included: shown(fraction(round(quantity) - round(billable))),
    billable: shown(billable),
    unitPrice: quoted.price,
    unit: billingUnitOf(meter, quoted.size),
    unitSize: quoted.size,
    amountUsdMicros: jsonAmount(due),
    explain: {
      text: differenceText(BigInt(basis.amountUsdMicros), BigInt(before.amountUsdMicros), plan.currency),
      ...ratedUnder(month, part),
      basis,
      billedBefore: before,
    },
  };
}

const moved = (before: Basis, after: MeterSums): bigint =>
  after.usage + after.corrections - BigInt(before.usage) - BigInt(before.corrections);

/** With more usage less is missing to a minimum, and with a correction more. */
function lateTrueUp(month: PricedMonth, part: PricedPart, billed: Billed): InvoiceLine[] {
  const { plan } = part.priced;
  const before = billed.get(billedKey(part.plan, MINIMUM)) ?? NOTHING;
  const now = ratePart(part, month.monthMs).trueUp?.amountUsdMicros ?? 0n;
  const due = jsonAmount(now - BigInt(before.amountUsdMicros));
  if (due === 0) return [];
  return [
    minimumLine(month, {
      description: `${plan.name}: what is missing to the minimum of a month that was billed`,
      dueUsdMicros: due,
      explain: {
        text: differenceText(now, BigInt(before.amountUsdMicros), plan.currency),
        ...ratedUnder(month, part),
        basis: basisOf(NO_SUMS, now),
        billedBefore: before,
      },
    }),
  ];
}

const sumsOf = ({ usage, corrections, byteMilliseconds }: Basis): MeterSums => ({
  usage: BigInt(usage),
  corrections: BigInt(corrections),
  level: BigInt(byteMilliseconds),
});

const differenceText = (now: bigint, before: bigint, currency: string): string =>
  `the month comes to ${amount(now, currency)}; ${amount(before, currency)} was billed before; ${amount(now - before, currency)} is left`;
