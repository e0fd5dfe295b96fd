import { z } from "zod";
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
  migrations: partSchema.describe("All that this program needs have run."),
  rollup: z
    .object({
      dirtyAccounts: z.int().nullable().describe("Accounts with usage that is not booked yet."),
      lagMs: z.int().nullable().describe("All that was acknowledged longer ago is booked; null where that is not known."),
    })
    .describe("Tells, and decides nothing: usage that waits to be booked stops no request."),
});

const KEEPS_NOTHING = "keeps nothing on disk: usage that is not rolled up yet is lost with it; install redis-server";

/** A part, and what is wrong with it. */
const part = (wrong: string | null): z.infer<typeof partSchema> => ({ ok: wrong === null, note: wrong });

const notRun = (pending: string[]): string | null => (pending.length === 0 ? null : `have not run: ${pending.join(", ")}`);

/** Liveness and readiness, for whoever restarts and routes. */
export function healthRoutes(app: App, { engine, redisDurable }: Pick<AppOptions, "engine" | "redisDurable">): void {
  app.route({
    method: "GET",
    url: "/health",
    ...open,
    schema: { tags, summary: "The process lives", response: { 200: z.object({ ok: z.literal(true) }) } },
    handler: async () => ({ ok: true as const }),
  });

  const readiness = shared(() => engine.readiness());
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
      const { ready, postgres, redis } = await readiness();
      return reply.code(ready ? 200 : 503).send({
        ready,
        postgres: part("away" in postgres ? postgres.away : null),
        redis: "away" in redis ? part(redis.away) : { ok: true, note: redisDurable === false ? KEEPS_NOTHING : null },
        migrations: part("away" in postgres ? "cannot be told while Postgres is away" : notRun(postgres.pendingMigrations)),
        rollup: "away" in redis ? { dirtyAccounts: null, lagMs: null } : { dirtyAccounts: redis.dirtyAccounts, lagMs: redis.rollUpLagMs },
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
