import { z } from "zod";
import { keyFinding } from "../../doctor/key-finding.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import type { App, AppOptions } from "../app.ts";
import { allow } from "../auth.ts";

const tags = ["operation"];

const findingSchema = z
  .object({
    check: z.string(),
    state: z.enum(["ok", "warning", "failed"]),
    found: z.string(),
    remedy: z.string().nullable(),
  })
  .meta({ id: "Finding" });

const reclaimedSchema = z.object({
  meter: z.string(),
  period: z.enum(["day", "month"]),
  windowStart: z.iso.datetime(),
  quantity: z.int(),
});

/** What the operator asks when something is wrong. */
export function doctorRoutes(app: App, { engine, adminKey }: Pick<AppOptions, "engine" | "adminKey">): void {
  app.route({
    method: "GET",
    url: "/v1/doctor",
    ...allow("admin"),
    schema: {
      tags,
      summary: "The stores, the clocks, the roll-up, stranded budget and the ledger's invariants, each with what was found and what to do",
      response: { 200: z.object({ findings: z.array(findingSchema) }) },
    },
    handler: async () => ({ findings: [...(await engine.examine()), keyFinding(adminKey)] }),
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:account/reclaim",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Free an account's stranded budget",
      description:
        "Only for an operator who knows that every Redis the budget was lent to is gone for good, with no process connected to it, and that " +
        "every API process has run on since, or was stopped in order: what such a process still held and never booked could be used twice.",
      params: z.object({ account: z.string().regex(ACCOUNT_PATTERN) }),
      response: { 200: z.object({ reclaimed: z.array(reclaimedSchema) }) },
    },
    handler: async (request) => {
      const reclaimed = await engine.reclaim(request.params.account);
      return { reclaimed: reclaimed.map((r) => ({ ...r, windowStart: iso(r.windowStart) })) };
    },
  });
}
