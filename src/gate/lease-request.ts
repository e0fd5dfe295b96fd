import { z } from "zod";
import { ACCOUNT_PATTERN, METER_PATTERN, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import { METERS_PER_CHECK_MAX, usageSchema } from "./check-request.ts";

/** How long a holder may spend a lease without a heartbeat, seconds: after a limit was lowered it is in force everywhere this much later. */
export const LEASE_TTL_SECONDS_DEFAULT = 5;
const LEASE_TTL_SECONDS_MAX = 60;
/** Services and namespaces one lease may be spent in. */
const LEASE_PLACES_MAX = 64;
const HOLDER_LENGTH_MAX = 128;

const quantity = z.int().min(0).max(QUANTITY_MAX);
const meters = z
  .record(z.string().regex(METER_PATTERN), quantity)
  .refine((asked) => Object.keys(asked).length <= METERS_PER_CHECK_MAX, `may name at most ${METERS_PER_CHECK_MAX} meters`);

/** Body of `POST /v1/leases`. */
export const leaseRequestSchema = z.strictObject({
  account: z.string().regex(ACCOUNT_PATTERN),
  /** Meter → how much is wanted; less may be lent, also nothing. */
  meters: meters.refine((asked) => Object.keys(asked).length > 0, "must name a meter"),
  /** Whoever spends it, for people to read. */
  holder: z
    .string()
    .min(1)
    .max(HOLDER_LENGTH_MAX)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "must be well-formed text without control characters")
    .optional(),
  ttlSeconds: z.int().min(1).max(LEASE_TTL_SECONDS_MAX).optional(),
  /** Near a limit lend this holder its part of what is left, not all of it. */
  fair: z.boolean().optional(),
  idempotencyKey: z
    .string()
    .min(1)
    .max(255)
    .refine((key) => key.isWellFormed(), "must be well-formed text")
    .optional(),
});

export type LeaseRequest = z.infer<typeof leaseRequestSchema>;

/** Body of `POST /v1/leases/{id}/settle`. */
export const leaseSettleSchema = z.strictObject({
  /** Rises with every settle; one that was seen changes nothing. */
  seq: quantity,
  /** Meter → what the lease was spent on so far, in all. */
  used: usageSchema,
  /** Where it was spent; what is left of `used` was spent in no service. */
  places: z
    .array(
      z.strictObject({
        service: z.string().regex(SERVICE_PATTERN).optional(),
        namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
        used: usageSchema,
      }),
    )
    .max(LEASE_PLACES_MAX)
    .optional(),
  /** Meter → how much more is wanted. */
  renew: meters.optional(),
  /** Near a limit renew no more than this holder's part of what is left. */
  fair: z.boolean().optional(),
  /** Return what is not spent. */
  close: z.boolean().optional(),
});

export type LeaseSettle = z.infer<typeof leaseSettleSchema>;
