import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { notFound, WeirError } from "../../kernel/errors.ts";
import { iso } from "../../kernel/window.ts";
import { secretText } from "../../notifications/signature.ts";
import { checkNewUrl, EVENT_TYPES, newWebhookSchema, rotationSchema, WEBHOOKS_MAX, type Webhook } from "../../notifications/webhook.ts";
import { createWebhook, deleteWebhook, enableWebhook, findWebhook, listWebhooks, rotateSecret } from "../../notifications/webhook-store.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { opaqueId } from "../opaque-id.ts";
import { createdCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema, type PageQuery } from "../page.ts";
import { requireAccount } from "./notifications.ts";

const tags = ["webhooks"];
const instant = z.iso.datetime();
export const webhookParams = z.object({ id: opaqueId });

const webhookSchema = z
  .object({
    id: z.string(),
    url: z.string(),
    events: z.array(z.string()),
    description: z.string().nullable(),
    status: z.enum(["enabled", "disabled"]),
    disabledAt: instant.nullable(),
    disabledReason: z.enum(["failing", "gone"]).nullable(),
    firstFailureAt: instant.nullable(),
    previousSecretUntil: instant.nullable(),
    createdAt: instant,
  })
  .meta({ id: "Webhook" });
const withSecretSchema = webhookSchema.extend({ secret: z.string() });

function toAnswer(webhook: Webhook, now: number): z.infer<typeof webhookSchema> {
  const at = (ms: number | null): string | null => (ms === null ? null : iso(ms));
  const { previousSecretUntil: until } = webhook;
  return {
    ...webhook,
    status: webhook.disabledAt === null ? "enabled" : "disabled",
    disabledAt: at(webhook.disabledAt),
    firstFailureAt: at(webhook.firstFailureAt),
    previousSecretUntil: at(until !== null && until > now ? until : null),
    createdAt: iso(webhook.createdAt),
  };
}

/** The endpoint of this request's account, or `not_found`: another account's does not exist. */
export async function webhookOf(engine: Engine, account: string, id: string): Promise<Webhook> {
  const webhook = await findWebhook(engine.walled, account, id);
  if (!webhook) throw notFound(`Webhook ${id}`);
  return webhook;
}

/** Endpoints that are told what happens to their account. */
export function webhookRoutes(app: App, engine: Engine): void {
  const write = allow("account", "admin");
  app.route({
    method: "POST",
    url: "/v1/webhooks",
    ...write,
    schema: {
      tags,
      summary: "Register an endpoint; its secret is shown once",
      description:
        `Deliveries follow the Standard Webhooks specification. \`events\` are the types it wants, all when left out (${EVENT_TYPES.join(", ")}). ` +
        "The URL must be https and lead to public addresses only; redirects are not followed.",
      body: newWebhookSchema,
      response: { 201: withSecretSchema },
    },
    handler: async (request, reply) => {
      const account = accountOf(request);
      const now = engine.clock.now();
      await requireAccount(engine, account);
      const { url, events, description } = request.body;
      const wanted = { url: await checkNewUrl(url, engine.outbox.egress), events: [...new Set(events)], description: description ?? null };
      const made = await createWebhook(engine.walled, account, wanted, now);
      if (!made) throw new WeirError("conflict", `An account has at most ${WEBHOOKS_MAX} webhooks: delete one first.`);
      return reply.code(201).send({ ...toAnswer(made.webhook, now), secret: secretText(made.secret) });
    },
  });
  readRoutes(app, engine);
  changeRoutes(app, engine);
}

function readRoutes(app: App, engine: Engine): void {
  const read = allow("account", "read_only", "admin");
  app.route({
    method: "GET",
    url: "/v1/webhooks",
    ...read,
    schema: {
      tags,
      summary: "The account's endpoints, newest first",
      querystring: pageQuerySchema,
      response: { 200: z.object({ webhooks: z.array(webhookSchema), nextCursor: z.string().nullable() }) },
    },
    handler: (request) => list(engine, accountOf(request), request.query),
  });
  app.route({
    method: "GET",
    url: "/v1/webhooks/:id",
    ...read,
    schema: { tags, summary: "One endpoint", params: webhookParams, response: { 200: webhookSchema } },
    handler: async (request) => toAnswer(await webhookOf(engine, accountOf(request), request.params.id), engine.clock.now()),
  });
}

function changeRoutes(app: App, engine: Engine): void {
  const write = allow("account", "admin");
  app.route({
    method: "DELETE",
    url: "/v1/webhooks/:id",
    ...write,
    schema: {
      tags,
      summary: "Remove an endpoint with its deliveries",
      params: webhookParams,
      response: { 200: z.object({ id: z.string(), deleted: z.literal(true) }) },
    },
    handler: async (request) => {
      const { id } = request.params;
      if (!(await deleteWebhook(engine.walled, accountOf(request), id))) throw notFound(`Webhook ${id}`);
      return { id, deleted: true as const };
    },
  });
  app.route({
    method: "POST",
    url: "/v1/webhooks/:id/rotate",
    ...write,
    schema: {
      tags,
      summary: "Give an endpoint a new secret; it is shown once",
      description:
        "For `previousSecretSeconds` (default 86400, at most a week) each delivery is signed with both, so that no receiver misses one.",
      params: webhookParams,
      body: rotationSchema.nullish(),
      response: { 200: withSecretSchema },
    },
    handler: async (request) => {
      const { id } = request.params;
      const now = engine.clock.now();
      const { previousSecretSeconds } = rotationSchema.parse(request.body ?? {});
      const rotated = await rotateSecret(engine.walled, accountOf(request), id, now + previousSecretSeconds * 1000);
      if (!rotated) throw notFound(`Webhook ${id}`);
      return { ...toAnswer(rotated.webhook, now), secret: secretText(rotated.secret) };
    },
  });
  app.route({
    method: "POST",
    url: "/v1/webhooks/:id/enable",
    ...write,
    schema: {
      tags,
      summary: "Take an endpoint into use again",
      description: "What was due for it when it was disabled is delivered now; what happened since is not.",
      params: webhookParams,
      response: { 200: webhookSchema },
    },
    handler: async (request) => {
      const { id } = request.params;
      const enabled = await enableWebhook(engine.walled, accountOf(request), id);
      if (!enabled) throw notFound(`Webhook ${id}`);
      return toAnswer(enabled, engine.clock.now());
    },
  });
}

async function list(engine: Engine, account: string, query: PageQuery) {
  const limit = pageLimit(query);
  const after = createdCursor(query.cursor);
  const found = await listWebhooks(engine.walled, account, { after, limit: limit + 1 });
  if (found.length === 0) await requireAccount(engine, account);
  const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.createdAt, last.id]));
  return { webhooks: rows.map((row) => toAnswer(row, engine.clock.now())), nextCursor };
}
