/** Schemas of what routes answer, where more than one route does. Responses are allow-lists: what is not named here is not sent. */
import { z } from "zod";

const quantity = z.int();
const instant = z.iso.datetime();

export const limitStateSchema = z.enum(["ok", "warning", "exceeded"]);

export const denialSchema = z
  .object({
    code: z.enum(["limit_exceeded", "credits_exhausted", "payload_too_large"]),
    meter: z.string().nullable(),
    scope: z.enum(["account", "object", "request"]),
    source: z.enum(["plan", "cap", "ceiling"]),
    period: z.enum(["day", "month"]).nullable(),
    limit: quantity,
    used: quantity,
    reserved: quantity,
    requested: quantity,
    resetsAt: instant.nullable(),
    retryable: z.boolean(),
    message: z.string(),
    remedy: z.string(),
  })
  .meta({ id: "Denial" });

const meterStateSchema = z
  .object({
    period: z.enum(["day", "month"]).nullable(),
    used: quantity,
    reserved: quantity,
    limit: quantity.nullable(),
    remaining: quantity.nullable(),
    resetsAt: instant.nullable(),
  })
  .meta({ id: "MeterState" });

export const decisionSchema = z
  .object({
    allowed: z.boolean(),
    decisionId: z.string(),
    reservation: z.object({ id: z.string(), expiresAt: instant }).nullable(),
    denials: z.array(denialSchema),
    meters: z.record(z.string(), meterStateSchema),
    clampedBytes: quantity.optional().describe("By how many bytes the object would have shrunk below 0: it stands at 0 instead."),
    degraded: z.literal(true).optional(),
  })
  .meta({ id: "Decision" });

export const capSchema = z
  .object({
    meter: z.string(),
    period: z.enum(["day", "month"]),
    capValue: quantity,
    hardStop: z.boolean(),
    notifyAtPercent: z.int(),
    used: quantity,
    reserved: quantity,
    remaining: quantity.nullable(),
    percent: z.number().nullable(),
    state: limitStateSchema,
    windowStart: instant,
    resetsAt: instant,
    notifyAt: quantity,
    updatedAt: instant,
  })
  .meta({ id: "Cap" });
