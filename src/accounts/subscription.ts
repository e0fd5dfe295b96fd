import { z } from "zod";

/** A plan's time with an account: from `startsAt` on, until the next one begins. Epoch ms. */
export interface Subscription {
  plan: string;
  startsAt: number;
  /** Null for the last one known. */
  endsAt: number | null;
  /** Until then the plan's fee is waived. */
  trialEndsAt: number | null;
  /** The catalogue in force when the change was made; null for one made before versions were noted. */
  catalogVersion: number | null;
  usedBefore: UsedBefore | null;
}

/** What the buckets from `from` on held when a change was made in the middle of them. */
export interface UsedBefore {
  /** Epoch ms. */
  from: number;
  /** Sums, by meter. */
  counters: Readonly<Record<string, bigint>>;
  /** Byte-milliseconds, by meter. */
  levels: Readonly<Record<string, bigint>>;
}

const sums = z.record(
  z.string(),
  z.string().transform((text) => BigInt(text)),
);
const usedBeforeSchema = z.object({ from: z.int(), counters: sums, levels: sums });

/** Reads subscriptions.used_before. */
export const readUsedBefore = (json: unknown): UsedBefore | null => (json === null ? null : usedBeforeSchema.parse(json));

/** The subscription in force at `at`, of a history in order; undefined before the first. */
export const subscriptionAt = (history: readonly Subscription[], at: number): Subscription | undefined =>
  history.findLast(({ startsAt }) => startsAt <= at);

/** Longest trial: beyond two years it is a discount. */
const TRIAL_DAYS_MAX = 730;

/** Body of `PUT /v1/accounts/{account}/subscription`. */
export const subscriptionChangeSchema = z.strictObject({
  plan: z.string().min(1).max(64),
  effective: z.enum(["now", "period_end"]).default("now"),
  /** The plan's fee begins that many days after the plan. */
  trialDays: z.int().min(1).max(TRIAL_DAYS_MAX).optional(),
});
