import { z } from "zod";
import { DECIMAL_PATTERN } from "../kernel/money.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** Tiers a charge may have: more is a price list, not a plan, and every rated line carries them all. */
const TIERS_MAX = 100;

/** A price, fee or percentage, exact: a decimal string, never a JSON number with a fraction. */
const decimalSchema = z
  .string()
  .regex(DECIMAL_PATTERN, 'must be a decimal string such as "0.15": at most 16 digits, at most 18 decimals, no sign');

export const quantitySchema = z.int().min(0).max(QUANTITY_MAX);
const sizeSchema = z.int().min(1).max(QUANTITY_MAX);

const perUnitSchema = z.strictObject({
  model: z.literal("per_unit"),
  unitSize: sizeSchema,
  priceUsdMicros: decimalSchema,
  included: quantitySchema.optional(),
});

const tierSchema = z.strictObject({
  upTo: sizeSchema.nullable(),
  priceUsdMicros: decimalSchema,
  flatUsdMicros: decimalSchema.optional(),
});

const tiersSchema = z
  .array(tierSchema)
  .min(1)
  .max(TIERS_MAX)
  .superRefine((tiers, context) => {
    let below = 0;
    for (const [index, { upTo }] of tiers.entries()) {
      const last = index === tiers.length - 1;
      if (last !== (upTo === null)) {
        const message = last
          ? "the last tier must have upTo null, so that every quantity has a price"
          : "only the last tier may have upTo null";
        context.addIssue({ code: "custom", path: [index, "upTo"], message });
      } else if (upTo !== null && upTo <= below) {
        context.addIssue({ code: "custom", path: [index, "upTo"], message: `must be above the tier before it (${below})` });
      }
      below = upTo ?? below;
    }
  });

const graduatedSchema = z.strictObject({ model: z.literal("graduated"), unitSize: sizeSchema.optional(), tiers: tiersSchema });
const volumeSchema = z.strictObject({ model: z.literal("volume"), unitSize: sizeSchema.optional(), tiers: tiersSchema });

const packageSchema = z.strictObject({
  model: z.literal("package"),
  packageSize: sizeSchema,
  priceUsdMicros: decimalSchema,
  included: quantitySchema.optional(),
});

const percentageSchema = z.strictObject({
  model: z.literal("percentage"),
  percent: decimalSchema,
  fixedUsdMicros: decimalSchema.optional(),
  includedUsdMicros: decimalSchema.optional(),
});

/**
 * How a quantity becomes an amount. Sizes, bounds of tiers and `included` are in the meter's base unit; prices are micro-dollars
 * per `unitSize` (1 where left out) or per package. For `percentage` the quantity itself is an amount in micro-dollars.
 */
export const chargeSchema = z.discriminatedUnion("model", [perUnitSchema, graduatedSchema, volumeSchema, packageSchema, percentageSchema]);

export type Charge = z.infer<typeof chargeSchema>;
export type TieredCharge = Extract<Charge, { model: "graduated" | "volume" }>;
export type Tier = TieredCharge["tiers"][number];

/** What `POST /v1/pricing/rate` takes as a quantity: an integer, or a decimal string for averages such as 1.5 GB. */
export const ratedQuantitySchema = z.union([quantitySchema, decimalSchema]);
