import { CREDITS_LOW_PERCENT } from "../catalog/schema.ts";
import { WeirError } from "../kernel/errors.ts";
import { jsonAmount } from "../kernel/money.ts";
import { iso } from "../kernel/window.ts";
import { planInForce, type InvoiceInput } from "./compose.ts";
import { creditLevel, creditStanding, remainingCredits, type CreditStanding } from "./credit-standing.ts";
import { creditAccounts, tellCredits, type CreditAccount } from "./credit-standing-store.ts";
import type { BillingStores } from "./gather.ts";
import { upcomingInputs } from "./upcoming.ts";

/** Accounts looked at together. */
const ACCOUNTS_AT_ONCE = 200;

/**
 * Tells accounts that their prepaid credits run low or are exhausted, once a crossing, from what is booked by now: the hook to top them up.
 * An account whose month cannot be priced waits until it can. Run late, twice or at once it tells the same. Answers how many were told now.
 */
export async function watchCredits(stores: BillingStores, now: number): Promise<number> {
  let told = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    const accounts: CreditAccount[] = await creditAccounts(stores.db, after, now, ACCOUNTS_AT_ONCE);
    const inputs = await upcomingInputs(
      stores,
      accounts.map(({ account }) => account),
      now,
    );
    for (const looked of accounts) {
      const input = inputs.get(looked.account);
      if (input && !(input instanceof Error)) told += await tell(stores, looked, input, now);
    }
    after = accounts.length < ACCOUNTS_AT_ONCE ? undefined : accounts.at(-1)?.account;
  }
  return told;
}

async function tell({ db }: BillingStores, looked: CreditAccount, input: InvoiceInput, now: number): Promise<number> {
  const seen = reckoned(input, now);
  // The first look is noted whatever it sees: from then on grants that come in between are noticed.
  if (seen === null || (seen.level === looked.level && looked.round > 0n)) return 0;
  return tellCredits(db, looked, seen.level, seen.data, now);
}

/** Null where the month comes to more than can be written down: that is this account's own, and keeps no other waiting. */
function reckoned(input: InvoiceInput, now: number): { level: 0 | 1 | 2; data: Record<string, unknown> } | null {
  try {
    const standing = creditStanding(input);
    const lowPercent = planInForce(input, now)?.credits?.lowPercent ?? CREDITS_LOW_PERCENT;
    return { level: creditLevel(standing, lowPercent), data: dataOf(standing, input, lowPercent) };
  } catch (error) {
    if (error instanceof WeirError && error.code === "validation_failed") return null;
    throw error;
  }
}

const dataOf = (standing: CreditStanding, { period }: InvoiceInput, lowPercent: number): Record<string, unknown> => ({
  currency: standing.currency,
  remainingUsdMicros: jsonAmount(remainingCredits(standing)),
  grantedUsdMicros: jsonAmount(standing.grantedUsdMicros),
  lowPercent,
  periodStart: iso(period.start),
  periodEnd: iso(period.end),
});
