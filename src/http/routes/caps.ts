import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { METER_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import { capChangeSchema } from "../../limits/cap.ts";
import { capSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["caps"];
const period = z.enum(["day", "month"]);
const meterParams = z.object({ meter: z.string().regex(METER_PATTERN) });

/** `effectiveBy`: checks are decided by it at once; what was lent to data-plane processes before is spent or given back by then. */
const setCapSchema = capSchema.extend({ effectiveBy: z.iso.datetime() });

/** Limits that an account sets itself. Each is in force for the check that follows the answer. */
export function capRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/usage/caps",
    ...allow("account", "read_only", "admin", "data_plane"),
    schema: {
      tags,
      summary: "The account's caps with their state",
      querystring: pageQuerySchema,
      response: { 200: z.object({ caps: z.array(capSchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const [meter = "", period = ""] = decodeCursor(request.query.cursor, 2)?.map(String) ?? [];
      // Two a meter at the most, so they are read whole.
      const caps = await engine.caps(accountOf(request));
      const rest = caps.filter((cap) => cap.meter > meter || (cap.meter === meter && cap.period > period));
      const { rows, nextCursor } = pageOf(rest, pageLimit(request.query), (last) => encodeCursor([last.meter, last.period]));
      return { caps: rows, nextCursor };
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/usage/caps/:meter",
    ...allow("account", "admin"),
    schema: { tags, summary: "Set, raise or lower a cap", params: meterParams, body: capChangeSchema, response: { 200: setCapSchema } },
    handler: async (request) => {
      const account = accountOf(request);
      const { meter } = request.params;
      await engine.limits.setCap(account, meter, request.body, engine.clock.now());
      const caps = await engine.caps(account);
      const set = caps.find((cap) => cap.meter === meter && cap.period === request.body.period);
      if (!set) throw notFound(`The cap of ${meter}`);
      return { ...set, effectiveBy: iso(await engine.gate.leases.effectiveBy(account, engine.clock.now())) };
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/usage/caps/:meter/:period",
    ...allow("account", "admin"),
    schema: {
      tags,
      summary: "Remove a cap",
      params: meterParams.extend({ period }),
      response: { 200: z.object({ meter: z.string(), period, deleted: z.literal(true) }) },
    },
    handler: async (request) => {
      const { meter, period: of } = request.params;
      await engine.limits.removeCap(accountOf(request), meter, of, engine.clock.now());
      return { meter, period: of, deleted: true as const };
    },
  });
}
