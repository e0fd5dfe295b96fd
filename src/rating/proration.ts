import { fraction, multiply, round, type Fraction } from "../kernel/money.ts";

/** What of a monthly fee falls to `ms` of a month of `monthMs` milliseconds: rounded once, half away from zero. */
export const prorated = (feeUsdMicros: bigint, ms: number, monthMs: number): bigint =>
  round(multiply(fraction(feeUsdMicros), shareOf(ms, monthMs)));

/** `ms` of `monthMs` as a fraction. */
export const shareOf = (ms: number, monthMs: number): Fraction => fraction(BigInt(ms), BigInt(monthMs));
