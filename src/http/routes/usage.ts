import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { capSchema, limitStateSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";

const tags = ["usage"];
const instant = z.iso.datetime();
const quantity = z.int();
const window = z.object({ start: instant, end: instant });
const quantities = z.record(z.string(), quantity);

const estimateLine = z.object({
  product: z.string(),
  meter: z.string(),
  currentMonthUsed: quantity,
  includedPerMonth: quantity.nullable(),
  billableAmount: quantity,
  usageUnit: z.string(),
  billingUnit: z.string(),
  billingUnitSize: quantity,
  priceUsdMicrosPerBillingUnit: z.number().nullable(),
  rounding: z.enum(["prorated_to_micro_usd", "next_billing_unit"]),
  estimatedUsdMicros: quantity,
  estimateBasis: z.enum(["current_month_usage_window", "month_average_at_current_storage_bytes"]),
});

const usageSchema = z
  .object({
    account: z.string(),
    plan: z.string(),
    asOf: instant,
    windows: z.object({ day: window, month: window }),
    usage: z.object({ meters: z.object({ day: quantities, month: quantities }) }),
    meters: z.array(
      z.object({
        meter: z.string(),
        unit: z.string(),
        kind: z.enum(["counter", "gauge"]),
        period: z.enum(["day", "month"]).nullable(),
        used: quantity,
        reserved: quantity,
        limit: quantity.nullable(),
        remaining: quantity.nullable(),
        percent: z.number().nullable(),
        state: limitStateSchema,
        source: z.enum(["plan", "cap"]).nullable(),
        resetsAt: instant.nullable(),
        projectedExhaustionAt: instant.nullable(),
        stranded: quantity,
      }),
    ),
    usageCaps: z.array(capSchema),
    billingEstimate: z.object({
      currency: z.string(),
      plan: z.string(),
      paidOveragesEnabled: z.boolean(),
      subscriptionUsdMicrosPerMonth: quantity,
      currentMonthOverageUsdMicros: quantity,
      creditsAppliedUsdMicros: quantity,
      estimatedMonthlyTotalUsdMicros: quantity,
      lineItems: z.array(estimateLine),
      nextActions: z.array(z.string()),
    }),
  })
  .meta({ id: "Usage" });

/** What an account has used. Over time: history.ts. */
export function usageRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin", "data_plane");

  app.route({
    method: "GET",
    url: "/v1/usage",
    ...read,
    schema: {
      tags,
      summary: "Usage, limits in force, caps and the bill so far; includes every answered check",
      response: { 200: usageSchema },
    },
    handler: (request) => engine.usage(accountOf(request)),
  });
}
