import { z } from "zod";
import { QUANTITY_MAX } from "../kernel/quantity.ts";
import type { Period } from "../kernel/window.ts";

/** A limit that an account sets itself. Quantities in the meter's base unit. */
export interface Cap {
  meter: string;
  period: Period;
  capValue: number;
  hardStop: boolean;
  notifyAtPercent: number;
  updatedAt: number;
}

/** Body of `PUT /v1/usage/caps/{meter}`. */
export const capChangeSchema = z.strictObject({
  period: z.enum(["day", "month"]),
  capValue: z.int().min(0).max(QUANTITY_MAX),
  hardStop: z.boolean().default(true),
  notifyAtPercent: z.int().min(1).max(100).default(80),
});

export type CapChange = z.infer<typeof capChangeSchema>;
