import { z } from "zod";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** What was taken off a finalized invoice. Never edited; times in epoch ms. */
export interface CreditNote {
  id: string;
  /** From 1, without gaps, over all accounts. */
  number: number;
  account: string;
  invoice: string;
  /** In millionths of the invoice's currency, above 0. */
  amountUsdMicros: number;
  reason: string;
  /** The id of the key that made it. */
  madeBy: string;
  createdAt: number;
}

const TEXT_LENGTH_MAX = 500;
const KEY_LENGTH_MAX = 255;

const text = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((s) => s.isWellFormed() && !s.includes("\u0000"), "must be well-formed text");

/** Body of `POST /v1/invoices/{invoice}/credit-notes`. */
export const creditRequestSchema = z.strictObject({
  amountUsdMicros: z.int().min(1).max(QUANTITY_MAX),
  reason: text(TEXT_LENGTH_MAX),
  idempotencyKey: text(KEY_LENGTH_MAX),
});

export type CreditRequest = z.infer<typeof creditRequestSchema>;
