import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { notFound, WeirError } from "../../kernel/errors.ts";
import { iso } from "../../kernel/window.ts";
import type { Delivery } from "../../notifications/delivery.ts";
import { enqueueTest, findDelivery, listDeliveries, replayDelivery } from "../../notifications/delivery-store.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { opaqueId } from "../opaque-id.ts";
import { encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";
import { datedCursor } from "./notifications.ts";
import { webhookOf, webhookParams } from "./webhooks.ts";

const tags = ["webhooks"];
const instant = z.iso.datetime();
const deliveryParams = webhookParams.extend({ deliveryId: opaqueId });

const attemptSchema = z
  .object({
    number: z.int(),
    at: instant,
    latencyMs: z.int().nullable(),
    statusCode: z.int().nullable(),
    error: z.string().nullable(),
    answer: z.string().nullable(),
  })
  .meta({ id: "DeliveryAttempt" });
const deliverySchema = z
  .object({
    id: z.string(),
    messageId: z.string(),
    type: z.string(),
    status: z.enum(["pending", "delivered", "failed"]),
    createdAt: instant,
    finishedAt: instant.nullable(),
    nextAttemptAt: instant.nullable(),
    attemptCount: z.int(),
    attempts: z.array(attemptSchema),
  })
  .meta({ id: "Delivery" });
const withPayloadSchema = deliverySchema.extend({ payload: z.string() });

function toAnswer(delivery: Delivery): z.infer<typeof deliverySchema> {
  const at = (ms: number | null): string | null => (ms === null ? null : iso(ms));
  return {
    ...delivery,
    createdAt: iso(delivery.createdAt),
    finishedAt: at(delivery.finishedAt),
    nextAttemptAt: at(delivery.nextAttemptAt),
    attempts: delivery.attempts.map((attempt) => ({ ...attempt, at: iso(attempt.at) })),
  };
}

/** What was sent to an endpoint, how it answered, and sending again. */
export function deliveryRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin");
  app.route({
    method: "GET",
    url: "/v1/webhooks/:id/deliveries",
    ...read,
    schema: {
      tags,
      summary: "What was sent to an endpoint, newest first",
      description: "Kept for 30 days. `attempts` are the last ten, newest first, each with the first KiB of the answer.",
      params: webhookParams,
      querystring: pageQuerySchema,
      response: { 200: z.object({ deliveries: z.array(deliverySchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const account = accountOf(request);
      const { id } = await webhookOf(engine, account, request.params.id);
      const limit = pageLimit(request.query);
      const found = await listDeliveries(engine.walled, account, id, { after: datedCursor(request.query.cursor), limit: limit + 1 });
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.createdAt, last.seq]));
      return { deliveries: rows.map(toAnswer), nextCursor };
    },
  });
  app.route({
    method: "GET",
    url: "/v1/webhooks/:id/deliveries/:deliveryId",
    ...read,
    schema: { tags, summary: "One delivery with its payload", params: deliveryParams, response: { 200: withPayloadSchema } },
    handler: (request) => show(engine, accountOf(request), request.params),
  });
  sendRoutes(app, engine);
}

function sendRoutes(app: App, engine: Engine): void {
  const write = allow("account", "admin");
  app.route({
    method: "POST",
    url: "/v1/webhooks/:id/deliveries/:deliveryId/replay",
    ...write,
    schema: {
      tags,
      summary: "Send a delivery again, with the same id and body",
      description: "It is due at once, with a new schedule of retries.",
      params: deliveryParams,
      response: { 202: withPayloadSchema },
    },
    handler: async (request, reply) => {
      const account = accountOf(request);
      const { id, deliveryId } = request.params;
      await enabled(engine, account, id);
      await show(engine, account, request.params);
      if (!(await replayDelivery(engine.walled, account, id, deliveryId, engine.clock.now())))
        throw new WeirError("conflict", `An attempt of ${deliveryId} is under way: wait for its end.`);
      return reply.code(202).send(await show(engine, account, request.params));
    },
  });
  app.route({
    method: "POST",
    url: "/v1/webhooks/:id/test",
    ...write,
    schema: {
      tags,
      summary: "Send a webhook.test to an endpoint",
      description: "Also to one that does not want that type. The answer names the delivery; its log tells how it went.",
      params: webhookParams,
      response: { 202: withPayloadSchema },
    },
    handler: async (request, reply) => {
      const account = accountOf(request);
      const { id } = await enabled(engine, account, request.params.id);
      const deliveryId = await enqueueTest(engine.walled, account, id, engine.clock.now());
      if (deliveryId === null) throw notFound(`Webhook ${id}`);
      return reply.code(202).send(await show(engine, account, { id, deliveryId }));
    },
  });
}

async function enabled(engine: Engine, account: string, id: string) {
  const webhook = await webhookOf(engine, account, id);
  if (webhook.disabledAt !== null) throw new WeirError("conflict", `Webhook ${id} is disabled: enable it first.`);
  return webhook;
}

async function show(engine: Engine, account: string, { id, deliveryId }: { id: string; deliveryId: string }) {
  const found = await findDelivery(engine.walled, account, id, deliveryId);
  if (!found) throw notFound(`Delivery ${deliveryId}`);
  return { ...toAnswer(found), payload: found.payload };
}
