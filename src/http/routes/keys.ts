import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import { createKey, listKeys, revokeKey, rotateKey, type NewKey } from "../../accounts/api-key-store.ts";
import {
  ACCOUNT_SCOPES,
  OPERATOR_SCOPES,
  OVERLAP_SECONDS_DEFAULT,
  OVERLAP_SECONDS_MAX,
  SCOPES,
  type ApiKey,
} from "../../accounts/api-key.ts";
import type { Engine } from "../../engine.ts";
import { notFound, validationFailed, WeirError } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso, parseInstant } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";
import { opaqueId } from "../opaque-id.ts";
import { createdCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema, type PageQuery } from "../page.ts";

const tags = ["keys"];
const accountParams = z.object({ account: z.string().regex(ACCOUNT_PATTERN) });
const keyParams = z.object({ id: opaqueId });

const keySchema = z
  .object({
    id: z.string(),
    account: z.string().nullable(),
    scope: z.enum(SCOPES),
    name: z.string().nullable(),
    lastFour: z.string(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
    revokedAt: z.iso.datetime().nullable(),
    lastUsedAt: z.iso.datetime().nullable().describe("To the minute."),
    replacedBy: z.string().nullable().describe("The key that took its place; this one works until expiresAt."),
  })
  .meta({ id: "ApiKey" });
const newKeySchema = keySchema.extend({ key: z.string() });
const keysSchema = z.object({ keys: z.array(keySchema), nextCursor: z.string().nullable() });
const revokedSchema = z.object({ id: z.string(), revoked: z.literal(true) });

const optional = {
  name: z
    .string()
    .min(1)
    .max(200)
    .refine((s) => s.isWellFormed() && !s.includes("\0"), "must be plain text")
    .optional(),
  expiresAt: z
    .string()
    .max(40)
    .refine((text) => parseInstant(text) !== null, "must be an RFC 3339 time")
    .optional(),
};
const accountKeyBody = z.strictObject({ scope: z.enum(ACCOUNT_SCOPES), ...optional });
const operatorKeyBody = z.strictObject({ scope: z.enum(OPERATOR_SCOPES), ...optional });

const rotateBody = z.strictObject({ overlapSeconds: z.int().min(0).max(OVERLAP_SECONDS_MAX).optional() }).nullish();
const rotation = {
  tags,
  description:
    `The old key works on for \`overlapSeconds\` (default ${OVERLAP_SECONDS_DEFAULT}, at most ${OVERLAP_SECONDS_MAX}; 0 ends it now), so that no ` +
    "caller is locked out meanwhile. The new one has its account, scope and name, and lives as long as it was given.",
  body: rotateBody,
  response: { 201: newKeySchema },
};

const toAnswer = (key: ApiKey): z.infer<typeof keySchema> => ({
  ...key,
  createdAt: iso(key.createdAt),
  expiresAt: key.expiresAt === null ? null : iso(key.expiresAt),
  revokedAt: key.revokedAt === null ? null : iso(key.revokedAt),
  lastUsedAt: key.lastUsedAt === null ? null : iso(key.lastUsedAt),
});

/** API keys: an account's under its path, the operator's under /v1/keys. */
export function keyRoutes(app: App, engine: Engine): void {
  accountKeyRoutes(app, engine);
  operatorKeyRoutes(app, engine);
}

const admin = allow("admin");

function accountKeyRoutes(app: App, engine: Engine): void {
  const base = "/v1/accounts/:account/keys";

  app.route({
    method: "POST",
    url: base,
    ...admin,
    schema: {
      tags,
      summary: "Create a key of an account; the secret is shown once",
      params: accountParams,
      body: accountKeyBody,
      response: { 201: newKeySchema },
    },
    handler: async (request, reply) => {
      const { account } = request.params;
      await requireAccount(engine, account);
      return reply.code(201).send(await create(engine, account, request.body));
    },
  });
  app.route({
    method: "GET",
    url: base,
    ...admin,
    schema: {
      tags,
      summary: "List an account's keys, newest first",
      params: accountParams,
      querystring: pageQuerySchema,
      response: { 200: keysSchema },
    },
    handler: async (request) => {
      await requireAccount(engine, request.params.account);
      return list(engine, request.params.account, request.query);
    },
  });
  app.route({
    method: "DELETE",
    url: `${base}/:id`,
    ...admin,
    schema: {
      tags,
      summary: "Revoke a key of an account",
      params: accountParams.extend(keyParams.shape),
      response: { 200: revokedSchema },
    },
    handler: (request) => revoke(engine, request.params.account, request.params.id),
  });
  app.route({
    method: "POST",
    url: `${base}/:id/rotate`,
    ...admin,
    schema: {
      ...rotation,
      summary: "Put a new key in the place of an account's key; the secret is shown once",
      params: accountParams.extend(keyParams.shape),
    },
    handler: async (request, reply) =>
      reply.code(201).send(await rotate(engine, request.params.account, request.params.id, request.body?.overlapSeconds)),
  });
}

function operatorKeyRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/keys",
    ...admin,
    schema: { tags, summary: "Create an operator's key; the secret is shown once", body: operatorKeyBody, response: { 201: newKeySchema } },
    handler: async (request, reply) => reply.code(201).send(await create(engine, null, request.body)),
  });
  app.route({
    method: "GET",
    url: "/v1/keys",
    ...admin,
    schema: { tags, summary: "List the operator's keys, newest first", querystring: pageQuerySchema, response: { 200: keysSchema } },
    handler: (request) => list(engine, null, request.query),
  });
  app.route({
    method: "DELETE",
    url: "/v1/keys/:id",
    ...admin,
    schema: { tags, summary: "Revoke an operator's key", params: keyParams, response: { 200: revokedSchema } },
    handler: (request) => revoke(engine, null, request.params.id),
  });
  app.route({
    method: "POST",
    url: "/v1/keys/:id/rotate",
    ...admin,
    schema: { ...rotation, summary: "Put a new key in the place of an operator's key; the secret is shown once", params: keyParams },
    handler: async (request, reply) => reply.code(201).send(await rotate(engine, null, request.params.id, request.body?.overlapSeconds)),
  });
}

async function requireAccount(engine: Engine, account: string): Promise<void> {
  if (!(await findAccount(engine.walled, account, engine.clock.now()))) throw notFound(`Account ${account}`);
}

async function create(
  engine: Engine,
  account: string | null,
  body: { scope: NewKey["scope"]; name?: string | undefined; expiresAt?: string | undefined },
) {
  const now = engine.clock.now();
  const expiresAt = body.expiresAt === undefined ? null : parseInstant(body.expiresAt);
  if (expiresAt !== null && expiresAt <= now) throw validationFailed([{ path: "expiresAt", message: "must lie in the future" }]);
  const key = await createKey(engine.walled, { account, scope: body.scope, name: body.name ?? null, expiresAt }, now);
  return { ...toAnswer(key), key: key.key };
}

async function list(engine: Engine, account: string | null, query: PageQuery) {
  const limit = pageLimit(query);
  const before = createdCursor(query.cursor);
  const { rows, nextCursor } = pageOf(await listKeys(engine.walled, account, { before, limit: limit + 1 }), limit, (k) =>
    encodeCursor([k.createdAt, k.id]),
  );
  return { keys: rows.map(toAnswer), nextCursor };
}

async function revoke(engine: Engine, account: string | null, id: string) {
  if (!(await revokeKey(engine.walled, account, id, engine.clock.now()))) throw notFound(`Key ${id}`);
  await engine.keys.settle();
  return { id, revoked: true as const };
}

async function rotate(engine: Engine, account: string | null, id: string, overlapSeconds = OVERLAP_SECONDS_DEFAULT) {
  const rotated = await rotateKey(engine.walled, account, id, overlapSeconds * 1_000, engine.clock.now());
  if (rotated === "unknown") throw notFound(`Key ${id}`);
  if (rotated === "ended") throw new WeirError("conflict", `Key ${id} has expired or was revoked: create a new one.`);
  if (rotated === "replaced") throw new WeirError("conflict", `Key ${id} was rotated before: rotate the key in its replacedBy.`);
  await engine.keys.settle();
  return { ...toAnswer(rotated), key: rotated.key };
}
