/** The largest quantity: 2^53 − 1, where both Lua's and JavaScript's numbers stop being exact. */
export const QUANTITY_MAX = Number.MAX_SAFE_INTEGER;

/** True for a non-negative integer that every store carries exactly. −0 counts as 0. */
export const isQuantity = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n >= 0;

/** `part` of `whole` in percent, rounded down to two decimals; null where nothing limits. 0 of 0 is 100: the next unit is refused. */
export function percentOf(part: number, whole: number | null): number | null {
  if (whole === null) return null;
  if (whole === 0) return 100;
  return Number((BigInt(part) * 10_000n) / BigInt(whole)) / 100;
}

/** The least quantity that is `percent` of `limit` or more: where a threshold fires. */
export function thresholdOf(limit: number, percent: number): number {
  return Number((BigInt(limit) * BigInt(percent) + 99n) / 100n);
}
