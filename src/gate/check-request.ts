import { z } from "zod";
import { ACCOUNT_PATTERN, isObjectName, METER_PATTERN, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** Meters in one check: the catalogue has 24; an operator may add more. */
export const METERS_PER_CHECK_MAX = 64;

/** How long a reservation may hold, seconds. */
export const TTL_SECONDS_MAX = 3_600;
export const TTL_SECONDS_DEFAULT = 60;

const quantity = z.int().min(0).max(QUANTITY_MAX);

/** Counters to count: meter → base quantity. */
export const usageSchema = z
  .record(z.string().regex(METER_PATTERN), quantity)
  .refine((usage) => Object.keys(usage).length <= METERS_PER_CHECK_MAX, `may name at most ${METERS_PER_CHECK_MAX} meters`);

/** A change of stored bytes, or the measured size. */
export const storageSchema = z.union(
  [z.strictObject({ delta: z.int().min(-QUANTITY_MAX).max(QUANTITY_MAX) }), z.strictObject({ set: quantity })],
  { error: 'must be { "delta": bytes } or { "set": bytes }, in whole bytes below 2^53' },
);

/** Body of `POST /v1/check`. */
export const checkRequestSchema = z
  .strictObject({
    account: z.string().regex(ACCOUNT_PATTERN),
    service: z.string().regex(SERVICE_PATTERN).optional(),
    namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
    object: z.string().refine(isObjectName, "must be 1–512 characters without / and control characters").optional(),
    operation: z.string().min(1).max(64).optional(),
    usage: usageSchema.optional(),
    storageBytes: storageSchema.optional(),
    payloadBytes: quantity.optional(),
    mode: z.enum(["consume", "reserve", "peek"]).optional(),
    ttlSeconds: z.int().min(1).max(TTL_SECONDS_MAX).optional(),
    idempotencyKey: z
      .string()
      .min(1)
      .max(255)
      .refine((key) => key.isWellFormed(), "must be well-formed text")
      .optional(),
  })
  .meta({ id: "Check" });

export type CheckRequest = z.infer<typeof checkRequestSchema>;

/** Body of `POST /v1/reservations/{id}/settle`: what really happened; what is left out happened as it was reserved. */
export const settleRequestSchema = z.strictObject({ usage: usageSchema.optional(), storageBytes: storageSchema.optional() });

export type SettleRequest = z.infer<typeof settleRequestSchema>;
