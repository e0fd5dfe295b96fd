import { atMost, figure, type Result } from "./result.ts";

/** What a process that closed a month for so many accounts came to. */
export interface ClosedMonth {
  accounts: number;
  ms: number;
  peakBytes: number;
}

/** More than linear: each account costs so much more among ten times as many. */
const LINEAR = 1.2;
const FLAT_MEMORY = 1.5;
/** Invoices made together, unless told. */
export const CLOSED_AT_ONCE = 200;

/**
 * Time an account and greatest memory of closing a month for many accounts, beside those of a tenth of them. Where a tenth is no more than
 * is closed in one go, its memory says nothing: none is held against it.
 */
export function closingFigures(suite: string, [few, many]: readonly [ClosedMonth, ClosedMonth]): Result[] {
  const perAccount = ({ ms, accounts }: ClosedMonth): number => ms / accounts;
  const [value, baseline] = [perAccount(many), perAccount(few)];
  const memory = { value: many.peakBytes / 1e6, baseline: few.peakBytes / 1e6, ratio: many.peakBytes / few.peakBytes };
  return [
    figure(`${suite}.${many.accounts}_accounts`, "accounts/s", { value: (many.accounts * 1_000) / many.ms }),
    figure(`${suite}.time_per_account`, "ms", { value, baseline, ratio: value / baseline }, atMost(LINEAR)),
    figure(`${suite}.peak_rss`, "MB", memory, few.accounts > CLOSED_AT_ONCE ? atMost(FLAT_MEMORY) : null),
  ];
}
