import { z } from "zod";
import { ACCOUNT_PATTERN, isKeyName, isObjectName, NAMESPACE_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { parseInstant } from "../kernel/window.ts";
import { storageSchema, usageSchema } from "./check-request.ts";

/** Characters of an id or source. */
export const EVENT_NAME_LENGTH_MAX = 255;
/** Characters of a time: RFC 3339 to the nanosecond takes 35. */
export const EVENT_TIME_LENGTH_MAX = 40;

const name = z
  .string()
  .refine(
    (text) => isKeyName(text) && (text.length <= EVENT_NAME_LENGTH_MAX || [...text].length <= EVENT_NAME_LENGTH_MAX),
    `must be 1–${EVENT_NAME_LENGTH_MAX} characters, none of them a control character`,
  );

const dataSchema = z
  .strictObject({
    service: z.string().regex(SERVICE_PATTERN).optional(),
    namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
    object: z.string().refine(isObjectName, "must be 1–512 characters without / and control characters").optional(),
    usage: usageSchema.optional(),
    storageBytes: storageSchema.optional(),
  })
  .refine((data) => data.usage !== undefined || data.storageBytes !== undefined, "must hold usage or storageBytes");

/** A CloudEvents 1.0 event of usage. Extension attributes are allowed, as CloudEvents has it, and not kept; `data` is strict. */
export const usageEventSchema = z
  .looseObject({
    specversion: z.literal("1.0"),
    type: z.literal("weir.usage"),
    source: name,
    id: name,
    subject: z.string().regex(ACCOUNT_PATTERN),
    time: z
      .string()
      .max(EVENT_TIME_LENGTH_MAX)
      .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z")
      .nullish(),
    data: dataSchema,
  })
  .meta({ id: "UsageEvent" });

export type EventEnvelope = z.infer<typeof usageEventSchema>;
