import { z } from "zod";
import { WeirError } from "../../kernel/errors.ts";
import type { App, AppOptions } from "../app.ts";
import { open } from "../auth.ts";
import { shared } from "../shared-answer.ts";

const tags = ["operation"];

/** What `/ready` says of one part. */
const partSchema = z.object({ ok: z.boolean(), note: z.string().nullable() });

const readySchema = z.object({
  ready: z.boolean(),
  postgres: partSchema,
  redis: partSchema,
  rollup: z.object({ dirtyAccounts: z.int().nullable() }),
});

/** Liveness and readiness, for whoever restarts and routes. */
export function healthRoutes(app: App, { engine, redisDurable }: Pick<AppOptions, "engine" | "redisDurable">): void {
  app.route({
    method: "GET",
    url: "/health",
    ...open,
    schema: { tags, summary: "The process lives", response: { 200: z.object({ ok: z.literal(true) }) } },
    handler: async () => ({ ok: true as const }),
  });

  const lag = shared(() => engine.lag());
  app.route({
    method: "GET",
    url: "/ready",
    ...open,
    schema: {
      tags,
      summary: "Postgres and Redis answer, the schema is current; with what waits to be rolled up",
      response: { 200: readySchema, 503: readySchema },
    },
    handler: async (_request, reply) => {
      const found = await lag().catch((error: unknown) => error);
      const away = found instanceof WeirError ? found.message : found instanceof Error ? "cannot be asked" : null;
      const redisNote =
        redisDurable === false ? "keeps nothing on disk: usage that is not rolled up yet is lost with it; install redis-server" : null;
      const ready = away === null;
      return reply.code(ready ? 200 : 503).send({
        ready,
        postgres: { ok: ready || !away.includes("Postgres"), note: away?.includes("Postgres") ? away : null },
        redis: { ok: ready || !away.includes("Redis"), note: away?.includes("Redis") ? away : redisNote },
        rollup: { dirtyAccounts: ready ? (found as { dirtyAccounts: number }).dirtyAccounts : null },
      });
    },
  });

  // Made once, and one buffer for all who wait for it: half a megabyte each was what a client that never reads could have made of 100 bytes.
  let document: Buffer | null = null;
  app.route({
    method: "GET",
    url: "/openapi.json",
    ...open,
    schema: { hide: true },
    handler: async (_request, reply) => {
      document ??= Buffer.from(JSON.stringify(app.swagger()));
      return reply.type("application/json").send(document);
    },
  });
}
