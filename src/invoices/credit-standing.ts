import { dueToCredits } from "./closing-lines.ts";
import { currencyOf, linesBeforeTerms, type InvoiceInput } from "./compose.ts";

/** How an account's prepaid credits stand against its running month. Millionths of `currency`. */
export interface CreditStanding {
  currency: string;
  /** What was granted by those grants of the currency that cover the month and were not used up before it. */
  grantedUsdMicros: bigint;
  /** What was left of them before the month. */
  leftUsdMicros: bigint;
  /** What the month comes to that credits may pay. */
  dueUsdMicros: bigint;
}

/** From what the month's invoice follows from: its credit lines are `dueUsdMicros`, as far as `leftUsdMicros` goes. Pure. */
export function creditStanding(input: InvoiceInput): CreditStanding {
  const currency = currencyOf(input);
  const grants = input.credits.filter((grant) => grant.currency === currency && grant.leftUsdMicros > 0n);
  return {
    currency,
    grantedUsdMicros: grants.reduce((sum, { amountUsdMicros }) => sum + amountUsdMicros, 0n),
    leftUsdMicros: grants.reduce((sum, { leftUsdMicros }) => sum + leftUsdMicros, 0n),
    dueUsdMicros: dueToCredits(linesBeforeTerms(input), input.terms, input.period),
  };
}

/** What the running month leaves of them. */
export const remainingCredits = ({ leftUsdMicros, dueUsdMicros }: CreditStanding): bigint =>
  leftUsdMicros > dueUsdMicros ? leftUsdMicros - dueUsdMicros : 0n;

/** 0 well, 1 low: at most `lowPercent` of what was granted is left; 2 exhausted. */
export function creditLevel(standing: CreditStanding, lowPercent: number): 0 | 1 | 2 {
  const remaining = remainingCredits(standing);
  if (remaining === 0n) return 2;
  return remaining * 100n <= standing.grantedUsdMicros * BigInt(lowPercent) ? 1 : 0;
}
