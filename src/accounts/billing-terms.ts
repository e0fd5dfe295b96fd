import { z } from "zod";
import { DECIMAL_PATTERN } from "../kernel/money.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { parseInstant } from "../kernel/window.ts";
import type { Discount } from "../rating/discount.ts";
import type { TaxRate } from "../rating/tax.ts";

/** What an account's invoices are reckoned with besides its plan. */
export interface BillingTerms {
  discounts: readonly Discount[];
  taxes: readonly TaxRate[];
}

export const NO_TERMS: BillingTerms = { discounts: [], taxes: [] };

/** More of either is no agreement any more, and every one is a line of each invoice. */
const ENTRIES_MAX = 20;

const name = z
  .string()
  .min(1)
  .max(100)
  .refine((s) => s.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(s), "must not hold control characters");
const percent = z
  .string()
  .regex(DECIMAL_PATTERN, 'must be a decimal string such as "19"')
  .refine((text) => Number(text) <= 100, "must be at most 100");
const until = z
  .string()
  .max(40)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2027-01-01T00:00:00Z")
  .nullable()
  .optional();

const discountSchema = z.union([
  z.strictObject({ name, percent, until }),
  z.strictObject({ name, amountUsdMicros: z.int().min(1).max(QUANTITY_MAX), until }),
]);

/** Body of `PUT /v1/accounts/{account}/billing-terms`: both lists as a whole. */
export const billingTermsSchema = z.strictObject({
  discounts: z.array(discountSchema).max(ENTRIES_MAX).default([]),
  taxes: z
    .array(z.strictObject({ name, percent, inclusive: z.boolean().default(false) }))
    .max(ENTRIES_MAX)
    .default([]),
});

export type BillingTermsDocument = z.infer<typeof billingTermsSchema>;

/** The terms a (validated) document states. */
export const readTerms = ({ discounts, taxes }: BillingTermsDocument): BillingTerms => ({
  discounts: discounts.map(({ until: end, ...discount }) => ({ ...discount, until: end ? parseInstant(end) : null })),
  taxes,
});
