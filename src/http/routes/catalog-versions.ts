import { z } from "zod";
import { catalogVersions, findCatalogVersion } from "../../catalog/catalog-store.ts";
import { diffCatalogs, type CatalogChange } from "../../catalog/diff.ts";
import { mergeCatalog } from "../../catalog/parse.ts";
import type { Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow, open } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["catalogue"];
const admin = allow("admin");
const VERSION_MAX = 1_000_000_000;

const changesSchema = z.object({
  changes: z.array(z.object({ kind: z.enum(["added", "removed", "changed"]), path: z.string(), text: z.string() })),
});
const toAnswer = (changes: readonly CatalogChange[]): z.infer<typeof changesSchema> => ({
  changes: changes.map(({ kind, path, text }) => ({ kind, path, text })),
});

/** The catalogue's versions, what each changed, and what a file would change. */
export function catalogVersionRoutes(app: App, engine: Engine): void {
  versionRoutes(app, engine);
  changeRoutes(app, engine);
}

function versionRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/catalog/versions",
    ...admin,
    schema: {
      tags,
      summary: "Versions of the catalogue, newest first; the newest is in force",
      querystring: pageQuerySchema,
      response: {
        200: z.object({
          versions: z.array(z.object({ version: z.int(), sha256: z.string(), appliedAt: z.iso.datetime() })),
          nextCursor: z.string().nullable(),
        }),
      },
    },
    handler: async (request) => {
      const limit = pageLimit(request.query);
      const before = Number(decodeCursor(request.query.cursor, 1)?.[0] ?? VERSION_MAX);
      const found = await catalogVersions(engine.walled, Number.isSafeInteger(before) ? before : 0, limit + 1);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.version]));
      return { versions: rows.map((row) => ({ ...row, appliedAt: iso(row.appliedAt) })), nextCursor };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/catalog/versions/:version/changes",
    ...admin,
    schema: {
      tags,
      summary: "What a version changed against the one before it",
      params: z.object({ version: z.string().regex(/^[1-9]\d{0,8}$/, "must be a version's number") }),
      response: { 200: changesSchema },
    },
    handler: async (request) => {
      const version = Number(request.params.version);
      const [before, after] = await Promise.all([
        findCatalogVersion(engine.walled, version - 1),
        findCatalogVersion(engine.walled, version),
      ]);
      if (!after) throw notFound(`Version ${version} of the catalogue`);
      return toAnswer(before ? diffCatalogs(before.catalog, after.catalog) : []);
    },
  });
}

function changeRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/catalog/changes",
    ...admin,
    schema: {
      tags,
      summary: "What laying a document over the catalogue would change; changes nothing",
      body: z.record(z.string(), z.unknown()),
      response: { 200: changesSchema },
    },
    handler: async (request) => toAnswer(diffCatalogs(engine.catalog, mergeCatalog(engine.catalog, request.body))),
  });

  app.route({
    method: "GET",
    url: "/v1/pricing/plans",
    ...open,
    schema: {
      tags: ["pricing"],
      summary: "The plan documents in force: what POST /v1/pricing/simulate takes",
      response: { 200: z.object({ plans: z.array(z.looseObject({ key: z.string(), name: z.string() })), nextCursor: z.null() }) },
    },
    handler: async () => ({ plans: engine.catalog.plans.map((plan) => ({ ...plan })), nextCursor: null }),
  });
}
