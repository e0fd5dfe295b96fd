import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";

const tags = ["catalogue"];
const document = z.record(z.string(), z.unknown());

/** The catalogue itself: what an operator sells, as data. */
export function catalogRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/catalog",
    ...allow("admin"),
    schema: { tags, summary: "The catalogue in force", response: { 200: document } },
    handler: async () => ({ ...engine.catalog }),
  });

  app.route({
    method: "PUT",
    url: "/v1/catalog",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Lay products, meters, operations and plans over the catalogue, as a new version",
      body: document,
      response: { 200: z.object({ version: z.int(), applied: z.boolean(), sha256: z.string(), appliedAt: z.iso.datetime() }) },
    },
    handler: async (request) => {
      const { version, applied, sha256, appliedAt } = await engine.applyCatalog(request.body);
      return { version, applied, sha256, appliedAt: iso(appliedAt) };
    },
  });
}
