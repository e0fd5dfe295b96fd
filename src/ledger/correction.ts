import { z } from "zod";
import { METER_PATTERN } from "../kernel/ids.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { parseInstant } from "../kernel/window.ts";

/** An entry beside the usage of a counter, added to it in the windows that hold `at`. Never edited; times in epoch ms. */
export interface Correction {
  /** `correction_<n>`; n counts from 1 per account. */
  id: string;
  account: string;
  meter: string;
  /** In the meter's base unit; below zero it gives usage back. */
  quantity: number;
  at: number;
  reason: string;
  idempotencyKey: string;
  /** The id of the key that made it. */
  madeBy: string;
  createdAt: number;
}

const REASON_LENGTH_MAX = 500;

/** Body of `POST /v1/accounts/{account}/corrections`. */
export const correctionRequestSchema = z.strictObject({
  meter: z.string().regex(METER_PATTERN),
  quantity: z
    .int()
    .min(-QUANTITY_MAX)
    .max(QUANTITY_MAX)
    .refine((n) => n !== 0, "must not be 0"),
  at: z
    .string()
    .max(40)
    .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z")
    .optional(),
  reason: z
    .string()
    .trim()
    .min(1)
    .max(REASON_LENGTH_MAX)
    .refine((s) => s.isWellFormed() && !s.includes("\u0000"), "must be well-formed text"),
  idempotencyKey: z
    .string()
    .min(1)
    .max(255)
    .refine((s) => s.isWellFormed() && !s.includes("\u0000"), "must be well-formed text"),
});

export type CorrectionRequest = z.infer<typeof correctionRequestSchema>;

/** One text for one request: two requests of a key are the same if theirs are. */
export const requestText = ({ meter, quantity, at, reason }: CorrectionRequest): string =>
  JSON.stringify([meter, quantity, at === undefined ? null : parseInstant(at), reason]);
