import type { FastifyReply } from "fastify";
import { z } from "zod";
import type { Engine } from "../../engine.ts";
import type { App } from "../app.ts";
import { open } from "../auth.ts";
import { createMetrics } from "../metrics.ts";

/** `GET /metrics`, for Prometheus. */
export function metricsRoutes(app: App, engine: Engine): void {
  const metrics = createMetrics(app, engine);
  app.route({
    method: "GET",
    url: "/metrics",
    ...open,
    schema: {
      tags: ["operation"],
      summary: "This process' figures and the stores' vitals, in Prometheus' text format",
      response: { 200: { description: "Text exposition format 0.0.4", content: { "text/plain": { schema: z.string() } } } },
    },
    handler: async (_request, reply) => {
      // A buffer goes out as it is, past every serializer.
      const bytes: FastifyReply = reply.header("content-type", metrics.contentType);
      return bytes.send(await metrics.read());
    },
  });
}
