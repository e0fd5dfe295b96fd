import { fraction, multiply, round } from "../kernel/money.ts";

/** A grant of prepaid credits, as far as it matters for what is burned first. Amounts in millionths of its currency. */
export interface CreditLeft {
  id: string;
  name: string;
  currency: string;
  /** The lowest is burned first. */
  priority: number;
  /** Epoch ms; null where it does not expire. */
  expiresAt: number | null;
  /** The order in which grants were made. */
  seq: number;
  /** What was granted. */
  amountUsdMicros: bigint;
  /** What is not burned of it. */
  leftUsdMicros: bigint;
}

export interface BurnedCredit {
  grant: CreditLeft;
  /** What was to be paid when this grant's turn came. */
  dueUsdMicros: bigint;
  /** Above zero, at most what was due and what was left. */
  amountUsdMicros: bigint;
}

/** The order of burning: by priority, then what expires first, then what was granted first. No two grants are equal in it. */
export const burnOrder = (a: CreditLeft, b: CreditLeft): number => a.priority - b.priority || expiry(a) - expiry(b) || a.seq - b.seq;

/** Beyond any instant, and unlike Infinity equal to itself when subtracted. */
const NEVER = Number.MAX_SAFE_INTEGER;
const expiry = ({ expiresAt }: CreditLeft): number => expiresAt ?? NEVER;

/** Pays `dueUsdMicros` with `grants` of its currency, in the order of burning, until nothing is due or nothing is left. Pure. */
export function burnCredits(dueUsdMicros: bigint, currency: string, grants: readonly CreditLeft[]): BurnedCredit[] {
  let due = dueUsdMicros;
  const burned: BurnedCredit[] = [];
  for (const grant of grants.filter((g) => g.currency === currency && g.leftUsdMicros > 0n).sort(burnOrder)) {
    if (due <= 0n) break;
    const amount = grant.leftUsdMicros < due ? grant.leftUsdMicros : due;
    burned.push({ grant, dueUsdMicros: due, amountUsdMicros: amount });
    due -= amount;
  }
  return burned;
}

/** What lines come to: usage alone, all of them, and all of them less the discounts. */
export interface CoveredSums {
  usageUsdMicros: bigint;
  beforeDiscountsUsdMicros: bigint;
  afterDiscountsUsdMicros: bigint;
}

/**
 * What credits may pay: usage, less its share of the discounts, rounded once; never more than is left to be paid, and nothing where usage
 * comes to nothing. Fees are not paid with credits.
 */
export function coveredByCredits({ usageUsdMicros, beforeDiscountsUsdMicros, afterDiscountsUsdMicros }: CoveredSums): bigint {
  if (usageUsdMicros <= 0n || afterDiscountsUsdMicros <= 0n) return 0n;
  const share = round(multiply(fraction(usageUsdMicros), fraction(afterDiscountsUsdMicros, beforeDiscountsUsdMicros)));
  return share < afterDiscountsUsdMicros ? share : afterDiscountsUsdMicros;
}
