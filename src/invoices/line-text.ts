import type { Meter, Product } from "../catalog/catalog.ts";
import { divide, formatExact, formatUsd, fraction, parseExact, type Fraction } from "../kernel/money.ts";
import type { MonthLine, TrueUp } from "../rating/month.ts";
import type { RatedTier } from "../rating/rate.ts";

/** Words for people on a line. Amounts are exact: what is shown can be reckoned again by hand. */

const MICROS = fraction(1_000_000n);

/** "$0.15", "EUR 4.00"; a price may have more decimals than a micro-dollar. */
function price(micros: Fraction, currency: string): string {
  const text = formatExact(divide(micros, MICROS));
  const [whole = "", decimals = ""] = text.split(".");
  const shown = text.includes("/") ? text : `${grouped(whole)}.${decimals.padEnd(2, "0")}`;
  return named(shown, currency);
}

/** An amount of micro-units: "$1,234.50", "−$0.075". */
export function amount(micros: bigint, currency: string): string {
  const sign = micros < 0n ? "−" : "";
  const [whole = "", decimals = ""] = formatUsd(micros < 0n ? -micros : micros).split(".");
  return sign + named(`${grouped(whole)}.${decimals}`, currency);
}

const named = (figure: string, currency: string): string => (currency === "USD" ? `$${figure}` : `${currency} ${figure}`);

/** "1500000" → "1,500,000"; decimals and fractions keep theirs. */
export const grouped = (text: string | bigint | number): string => {
  const [whole = "", ...rest] = String(text).split(/(?=[./])/);
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + rest.join("");
};

/** "Requests that reach a worker (worker_requests)". */
export function meterTitle(meter: Meter, products: readonly Product[]): string {
  const product = products.find(({ key }) => key === meter.product)?.name ?? meter.product;
  const what = meter.description.replace(/\.$/, "");
  return what === "" ? `${product}: ${meter.name}` : `${product}: ${what} (${meter.name})`;
}

/** "1,500,000 used − 1,000,000 included = 500,000 request; 0.5 × $0.15 = $0.075". `used` says how the quantity came about. */
export function usageText({ meter, included, charge, rated }: MonthLine, used: string, currency: string): string {
  const left = included && included.numerator !== 0n ? `${used} − ${grouped(formatExact(included))} included` : used;
  const billable = `${left} → ${grouped(rated.billable)} ${meter.unit} billable`;
  if (rated.tiers.length === 0) return `${billable}; nothing to pay`;
  const terms = rated.tiers.map((tier) => tierText(tier, charge?.model === "percentage", currency));
  return `${billable}; ${terms.join(" + ")} = ${amount(rated.amountUsdMicros, currency)}`;
}

function tierText(tier: RatedTier, ofMoney: boolean, currency: string): string {
  const rate = ofMoney
    ? `${price(parseExact(tier.units), currency)} × ${tier.priceUsdMicros}`
    : `${grouped(tier.units)} × ${price(parseExact(tier.priceUsdMicros), currency)}`;
  return tier.flatUsdMicros === "0" ? rate : `${rate} + ${price(parseExact(tier.flatUsdMicros), currency)}`;
}

export const trueUpText = ({ minimumUsdMicros, usageUsdMicros, amountUsdMicros }: TrueUp, currency: string): string =>
  `${amount(minimumUsdMicros, currency)} at least − ${amount(usageUsdMicros, currency)} of usage = ${amount(amountUsdMicros, currency)}`;

/** "$5.00 × 864,000,000 of 2,592,000,000 ms = $1.666667". */
export const feeText = (fee: bigint, ms: number, monthMs: number, due: bigint, currency: string): string =>
  ms === monthMs
    ? `${amount(fee, currency)} for the whole month`
    : `${amount(fee, currency)} × ${grouped(ms)} of ${grouped(monthMs)} ms = ${amount(due, currency)}`;
