import { z } from "zod";
import { parsePlan } from "../../catalog/parse.ts";
import { planSchema } from "../../catalog/schema.ts";
import type { Engine } from "../../engine.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso, monthWindow, parseInstant } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow, ownAccount } from "../auth.ts";
import { simulatedSchema, subtotal } from "./invoice-answers.ts";

const TIME_LENGTH_MAX = 40;
const instant = z
  .string()
  .max(TIME_LENGTH_MAX)
  .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time such as 2026-11-21T00:00:00Z");

/** `POST /v1/pricing/simulate`. */
export function simulateRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/pricing/simulate",
    ...allow("admin", "account", "read_only"),
    schema: {
      tags: ["pricing"],
      summary: "The invoice an account would have had under another plan",
      description:
        "Recorded usage from `from` to `to`, both widened to whole hours, at most 36 billing months. Each billing month has its own allowances and bears its own fee, " +
        "prorated where the span has only a part of it. A span that begins before what a deployment keeps is refused. `actualUsdMicros` is the same span under the plans the account really had.",
      body: z.strictObject({
        account: z.string().regex(ACCOUNT_PATTERN),
        plan: planSchema,
        from: instant.optional().describe("The first of this month, UTC, unless told."),
        to: instant.optional().describe("Now, unless told."),
      }),
      response: { 200: simulatedSchema },
    },
    handler: async (request) => {
      const { account, plan } = request.body;
      const now = engine.clock.now();
      const { catalog, version } = engine.inForce;
      const asked = { account: ownAccount(request, account), plan: parsePlan(catalog, plan), version: engine.inForce };
      const thisMonth = monthWindow(now, { anchorDay: 1, timezone: "UTC" });
      const span = { from: parseInstant(request.body.from ?? "") ?? thisMonth.start, to: parseInstant(request.body.to ?? "") ?? now };
      const { lines, period, ...found } = await engine.invoices.simulate({ ...asked, ...span }, now);
      const shown = {
        period: { start: iso(period.start), end: iso(period.end) },
        subtotalUsdMicros: subtotal(lines),
        catalogVersion: version,
      };
      return { ...found, ...shown, lines };
    },
  });
}
