import { z } from "zod";
import { isTimezone, type BillingCalendar } from "../kernel/window.ts";

export interface Account {
  account: string;
  name: string | null;
  email: string | null;
  /** The plan in force at the moment of reading. */
  plan: string;
  calendar: BillingCalendar;
  /** A plan that begins later, at the end of the billing month. */
  nextPlan: { plan: string; startsAt: number } | null;
  /** It wants to hear of hours with far more usage than it usually has. */
  rateAlert: boolean;
  limitsVersion: number;
  createdAt: number;
  updatedAt: number;
}

/** Control characters and lone surrogates would be stored as something else than was sent. */
const plainText = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((s) => s.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(s), "must not hold control characters");

/** Body of `PUT /v1/accounts/{account}`: what is left out stays as it is. */
export const accountChangeSchema = z.strictObject({
  name: plainText(200).nullable().optional(),
  email: z.email().max(320).nullable().optional(),
  plan: z.string().min(1).max(64).optional(),
  billingAnchorDay: z.int().min(1).max(31).optional(),
  timezone: z.string().min(1).max(64).refine(isTimezone, "must be an IANA time zone, such as Europe/Berlin").optional(),
  rateAlert: z.boolean().optional(),
});

export type AccountChange = z.infer<typeof accountChangeSchema>;
