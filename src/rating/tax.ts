import { add, decimal, divide, fraction, multiply, round, roundTogether, ZERO, type Fraction } from "../kernel/money.ts";

/** A tax on an invoice. An inclusive one is contained in the prices already, an exclusive one comes on top. */
export interface TaxRate {
  name: string;
  /** A decimal string: "19", "7.7". */
  percent: string;
  inclusive: boolean;
}

export interface TaxAmount {
  rate: TaxRate;
  /** The net amount that is taxed. */
  baseUsdMicros: bigint;
  amountUsdMicros: bigint;
}

/** `net + tax = total`, to the micro-dollar. */
export interface Taxed {
  netUsdMicros: bigint;
  taxUsdMicros: bigint;
  totalUsdMicros: bigint;
  taxes: TaxAmount[];
}

/**
 * Taxes an amount. Inclusive taxes are taken out of it first and share out its residue by largest remainder, so net and taxes add up to
 * what was charged; exclusive ones are reckoned on the net, each rounded once, half away from zero. No tax is taxed.
 */
export function taxed(amountUsdMicros: bigint, rates: readonly TaxRate[]): Taxed {
  const inclusive = rates.filter((rate) => rate.inclusive);
  const [net, contained] = contents(amountUsdMicros, inclusive);
  const taxes = rates.map((rate): TaxAmount => {
    const at = inclusive.indexOf(rate);
    const amount = at === -1 ? round(multiply(fraction(net), factorOf(rate))) : (contained[at] ?? 0n);
    return { rate, baseUsdMicros: net, amountUsdMicros: amount };
  });
  const tax = taxes.reduce((sum, { amountUsdMicros: amount }) => sum + amount, 0n);
  return { netUsdMicros: net, taxUsdMicros: tax, totalUsdMicros: net + tax, taxes };
}

/** What net and taxes a gross amount is made of. Of two equal remainders the tax's goes first: half is rounded away from zero. */
function contents(gross: bigint, rates: readonly TaxRate[]): [net: bigint, taxes: bigint[]] {
  if (gross < 0n) {
    const [net, taxes] = contents(-gross, rates);
    return [-net, taxes.map((tax) => -tax)];
  }
  const factors = rates.map(factorOf);
  const whole = add(fraction(1n), factors.reduce(add, ZERO));
  const parts = [...factors, fraction(1n)].map((factor) => divide(multiply(fraction(gross), factor), whole));
  const amounts = roundTogether(parts);
  return [amounts.at(-1) ?? gross, amounts.slice(0, -1)];
}

const factorOf = ({ percent }: TaxRate): Fraction => divide(decimal(percent), fraction(100n));
