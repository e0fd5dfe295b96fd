import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { notFound } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { open } from "../auth.ts";
import { readDashboard, type DashboardFiles, type ServedFile } from "../dashboard-files.ts";

/** Nothing but our own files, and no script or style in the page itself. Images: the chart draws none, the icon is a file. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
const FOR_GOOD = "public, max-age=31536000, immutable";

/** The dashboard: one page at `/` and its files, under an address that changes with their content. */
export function dashboardRoutes(app: App): void {
  let reading: Promise<DashboardFiles> | null = null;
  // Read when first asked for: a Weir that nobody looks at does without.
  const dashboard = (): Promise<DashboardFiles> => (reading ??= readDashboard());

  app.route({
    method: "GET",
    url: "/",
    ...open,
    schema: { hide: true },
    handler: async (request, reply) => {
      const { page } = await dashboard();
      void reply.header("content-security-policy", POLICY).header("cache-control", "no-cache").header("etag", page.etag);
      if (request.headers["if-none-match"] === page.etag) return reply.code(304).send();
      return send(request, reply, page);
    },
  });

  app.route({
    method: "GET",
    url: "/assets/:version/*",
    ...open,
    schema: { hide: true, params: z.object({ version: z.string(), "*": z.string() }) },
    handler: async (request, reply) => {
      const { files, version } = await dashboard();
      const file = request.params.version === version ? files.get(request.params["*"]) : undefined;
      if (!file) throw notFound("The file");
      void reply.header("cache-control", FOR_GOOD);
      return send(request, reply, file);
    },
  });
}

function send(request: FastifyRequest, reply: FastifyReply, { type, body, gzipped }: ServedFile): FastifyReply {
  void reply.header("vary", "accept-encoding").type(type);
  const packed = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  if (packed) void reply.header("content-encoding", "gzip");
  return reply.send(packed ? gzipped : body);
}
