import { jsonAmount } from "../kernel/money.ts";
import { burnCredits, coveredByCredits, type CreditLeft } from "../rating/credits.ts";
import type { InvoiceLine } from "./invoice.ts";
import { amount } from "./line-text.ts";

/** What an account has prepaid, and how the lines stand that it may pay. */
export interface CreditsToBurn {
  /** Fees, usage and what came late. */
  lines: readonly InvoiceLine[];
  discountsUsdMicros: bigint;
  grants: readonly CreditLeft[];
  period: { start: string; end: string };
  currency: string;
}

/** The lines by which prepaid credits pay for usage, one a grant, in the order of burning. */
export function creditLines({ lines, discountsUsdMicros, grants, period, currency }: CreditsToBurn): InvoiceLine[] {
  if (grants.length === 0) return [];
  return burnCredits(usageToPay(lines, discountsUsdMicros), currency, grants).map(({ grant, dueUsdMicros, amountUsdMicros }) => {
    const off = jsonAmount(-amountUsdMicros);
    return {
      kind: "credit",
      description: grant.name,
      period,
      quantity: 1,
      included: 0,
      billable: 1,
      unitPrice: off,
      unit: "prepaid",
      unitSize: 1,
      amountUsdMicros: off,
      explain: {
        text: `${amount(dueUsdMicros, currency)} of usage to pay, ${amount(grant.leftUsdMicros, currency)} prepaid left: ${amount(-amountUsdMicros, currency)}`,
        baseUsdMicros: jsonAmount(dueUsdMicros),
        creditGrant: grant.id,
      },
    };
  });
}

/** What of `lines` credits may pay, with discounts (zero or below) of so much. */
export function usageToPay(lines: readonly InvoiceLine[], discountsUsdMicros: bigint): bigint {
  const sum = lines.reduce((total, line) => total + BigInt(line.amountUsdMicros), 0n);
  return coveredByCredits({
    usageUsdMicros: lines.reduce((total, line) => (isUsage(line) ? total + BigInt(line.amountUsdMicros) : total), 0n),
    beforeDiscountsUsdMicros: sum,
    afterDiscountsUsdMicros: sum + discountsUsdMicros,
  });
}

/** Usage, and what came late or was corrected of it. */
const isUsage = ({ kind }: InvoiceLine): boolean => kind === "usage" || kind === "correction";

/** What prepaid credits paid of an invoice. */
export const creditsApplied = (lines: readonly InvoiceLine[]): number =>
  lines.reduce((sum, { explain, amountUsdMicros }) => (explain.creditGrant === undefined ? sum : sum - amountUsdMicros), 0);
