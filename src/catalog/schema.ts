import { z } from "zod";
import { METER_PATTERN } from "../kernel/ids.ts";
import { chargeSchema, quantitySchema } from "./charge.ts";

/** Bounds of one catalogue document, in entries: far above any real price list, small enough to load at every start. */
const METERS_MAX = 500;
const PLANS_MAX = 500;
const PRODUCTS_MAX = 100;
const OPERATIONS_MAX = 200;
const CEILINGS_MAX = 100;

const nameSchema = z.string().min(1).max(100);
const sentenceSchema = z.string().max(500);
// "constructor" or "valueOf" as a key would find what every JavaScript object inherits instead of nothing.
const isFree = (name: string): boolean => !name.split(".").some((part) => part in Object.prototype);
const named = (pattern: RegExp, message: string) => z.string().regex(pattern, message).refine(isFree, "is a reserved name");

const keySchema = named(/^[a-z][a-z0-9_-]{0,63}$/, "must be lower-case letters, digits, _ and -, from a letter on");
const fieldSchema = named(/^[a-z][A-Za-z0-9]{0,99}$/, "must be a camelCase name");
const priceFieldSchema = named(/^[a-z][A-Za-z0-9]{0,59}\.[a-z][A-Za-z0-9]{0,99}$/, "must be group.fieldName");
const meterNameSchema = named(METER_PATTERN, "must be a meter name such as state_requests");
const sizeSchema = quantitySchema.min(1);

/** Facts a data plane reports about a call. `hit` counts 1 when true, 0 when false. */
export const FACTS = ["rows", "hit", "messages", "wallMs"] as const;

/** Which ceiling of the plan bounds one level of a gauge. */
const gaugeCeilingsSchema = z.strictObject({ account: fieldSchema.optional(), object: fieldSchema.optional() });

export const meterSchema = z.strictObject({
  name: meterNameSchema,
  product: keySchema,
  /** The base unit every quantity of the meter is in, in the singular. */
  unit: z.string().min(1).max(40),
  kind: z.enum(["counter", "gauge"]),
  description: sentenceSchema,
  /** What a check answers while neither Redis nor Postgres can be asked. */
  failurePolicy: z.enum(["deny", "allow"]).default("deny"),
  /** First part of its limit fields (`stateRequests` → `stateRequestsPerDay`), else from its name; `unitSize` base units are 1 there. */
  limitField: z.strictObject({ name: fieldSchema, unitSize: sizeSchema.default(1) }).optional(),
  /** What prices are quoted in. */
  billingUnit: z.strictObject({ name: nameSchema, size: sizeSchema }).optional(),
  /** Where its price stands in the pricing document: `state.requestOverageUsdMicrosPerMillion`, per `billingUnit.size`. */
  priceField: priceFieldSchema.optional(),
  ceilings: gaugeCeilingsSchema.optional(),
});

export const productSchema = z.strictObject({
  key: keySchema,
  name: nameSchema,
  summary: sentenceSchema,
  /** Limits that are no allowance of a meter; a plan gives them their values. */
  ceilings: z
    .array(z.strictObject({ name: fieldSchema, unit: z.string().min(1).max(40), description: sentenceSchema }))
    .max(CEILINGS_MAX)
    .default([]),
  /** The order limit fields are shown in; those not named follow. */
  limitFieldOrder: z.array(fieldSchema).max(1000).default([]),
});

/** A fixed quantity, or one computed from a fact: `max(atLeast, ⌈fact × multiplyBy ÷ divideBy⌉)`. */
const usageRuleSchema = z.union([
  quantitySchema,
  z.strictObject({
    fact: z.enum(FACTS),
    atLeast: quantitySchema.optional(),
    multiplyBy: z.int().min(1).max(1_000_000_000).optional(),
    divideBy: z.int().min(1).max(1_000_000_000).optional(),
  }),
]);

export const operationSchema = z.strictObject({
  description: sentenceSchema.default(""),
  usage: z.record(meterNameSchema, usageRuleSchema),
});

/** Where prepaid credits are told of as low, unless the plan says otherwise. */
export const CREDITS_LOW_PERCENT = 20;

const allowanceSchema = z.strictObject({
  quantity: quantitySchema,
  period: z.enum(["day", "month"]),
  /** True: the plan stops there. False: it is included, and more is billed. */
  hard: z.boolean(),
});

export const planSchema = z.strictObject({
  key: keySchema,
  name: nameSchema,
  /** ISO 4217. The plan's amounts are in millionths of it, also where a name says USD, as the dollar's do. */
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be a currency of ISO 4217, such as USD")
    .default("USD"),
  subscriptionUsdMicrosPerMonth: quantitySchema,
  /** What usage costs a month at least; what is missing is a line of its own. */
  minimumUsdMicrosPerMonth: quantitySchema.optional(),
  allowances: z.record(meterNameSchema, allowanceSchema).default({}),
  ceilings: z.record(fieldSchema, quantitySchema).default({}),
  charges: z.record(meterNameSchema, chargeSchema).default({}),
  /** With `required` usage stops where prepaid credits no longer pay for it. They are told of as low at `lowPercent` of what was granted. */
  credits: z
    .strictObject({ required: z.boolean().default(false), lowPercent: z.int().min(1).max(99).default(CREDITS_LOW_PERCENT) })
    .optional(),
});

export const catalogSchema = z.strictObject({
  currency: z.literal("USD").default("USD"),
  products: z.array(productSchema).max(PRODUCTS_MAX),
  meters: z.array(meterSchema).max(METERS_MAX),
  operations: z
    .record(keySchema, operationSchema)
    .refine((map) => Object.keys(map).length <= OPERATIONS_MAX, `at most ${OPERATIONS_MAX} operations`),
  plans: z.array(planSchema).min(1).max(PLANS_MAX),
});

/** A file of an operator: any of the catalogue's sections. */
export const catalogPatchSchema = catalogSchema.partial();
