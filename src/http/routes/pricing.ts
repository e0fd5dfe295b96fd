import { z } from "zod";
import { pricingDocument } from "../../catalog/pricing.ts";
import type { Engine } from "../../engine.ts";
import { chargeSchema, ratedQuantitySchema } from "../../catalog/charge.ts";
import { ratedDocument } from "../../rating/rated-document.ts";
import type { App } from "../app.ts";
import { allow, open } from "../auth.ts";

const tags = ["pricing"];

/** Exact: a number where JSON can hold it, else a decimal string. */
const amount = z.union([z.number(), z.string()]);

const ratedSchema = z.object({
  amountUsdMicros: z.int(),
  billable: amount,
  tiers: z.array(
    z.object({
      from: amount,
      upTo: amount.nullable(),
      quantity: amount,
      unitSize: z.int(),
      units: amount,
      priceUsdMicros: z.string(),
      flatUsdMicros: z.string(),
      amountUsdMicros: z.int(),
    }),
  ),
});

/** What things cost: the price list, and pure rating. */
export function pricingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/pricing",
    ...open,
    schema: { tags, summary: "Plans, products, meters, limits and prices", response: { 200: z.looseObject({ currency: z.string() }) } },
    handler: async () => ({ ...pricingDocument(engine.catalog) }),
  });

  app.route({
    method: "POST",
    url: "/v1/pricing/rate",
    ...allow("admin", "data_plane", "account", "read_only"),
    schema: {
      tags,
      summary: "Rate a quantity under a charge; pure",
      body: z.strictObject({ charge: chargeSchema, quantity: ratedQuantitySchema }),
      response: { 200: ratedSchema },
    },
    handler: async (request) => ratedDocument(request.body.charge, request.body.quantity),
  });
}
