import { fraction, roundTogether, type Fraction } from "../kernel/money.ts";

/** Micro-units of one step of a currency's collectable amounts, and what the step is called in the provider's smallest unit. */
interface Step {
  micros: bigint;
  units: bigint;
}

const CENT: Step = { micros: 10_000n, units: 1n };
const WHOLE: Step = { micros: 1_000_000n, units: 1n };
/** Collected in whole units, yet written with two decimals. */
const WHOLE_IN_HUNDREDTHS: Step = { micros: 1_000_000n, units: 100n };
/** Written with three decimals, of which cards take two. */
const CENT_IN_THOUSANDTHS: Step = { micros: 10_000n, units: 10n };

const STEPS: Readonly<Record<string, Step>> = {
  ...Object.fromEntries(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"].map((key) => [key, WHOLE]),
  ),
  ...Object.fromEntries(["ISK", "UGX"].map((key) => [key, WHOLE_IN_HUNDREDTHS])),
  ...Object.fromEntries(["BHD", "JOD", "KWD", "OMR", "TND"].map((key) => [key, CENT_IN_THOUSANDTHS])),
};

/**
 * Amounts of micro-units as whole smallest units of the currency, as Stripe counts them: each moves by less than a step, and they add up to
 * the rounded sum of all. Pure.
 */
export function inMinorUnits(micros: readonly bigint[], currency: string): number[] {
  const { micros: step, units } = STEPS[currency] ?? CENT;
  const parts = micros.map((amount): Fraction => fraction(amount, step));
  return roundTogether(parts).map((steps) => Number(steps * units));
}
