import { z } from "zod";
import { CREDIT_KINDS, CREDIT_STATES, creditState, grantRequestSchema, remainingOf, type CreditGrant } from "../../credits/credit-grant.ts";
import type { Engine } from "../../engine.ts";
import { validationFailed } from "../../kernel/errors.ts";
import { iso } from "../../kernel/window.ts";
import type { App } from "../app.ts";
import { accountOf, allow, principalOf } from "../auth.ts";
import { opaqueId } from "../opaque-id.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";
import { requireAccount } from "./notifications.ts";

const tags = ["credits"];
const params = z.object({ credit: opaqueId });
const instant = z.iso.datetime();

const creditSchema = z
  .object({
    id: z.string(),
    account: z.string(),
    name: z.string(),
    kind: z.enum(CREDIT_KINDS),
    state: z.enum(CREDIT_STATES),
    currency: z.string(),
    amountUsdMicros: z.int(),
    burnedUsdMicros: z.int(),
    remainingUsdMicros: z.int(),
    priority: z.int(),
    effectiveAt: instant,
    expiresAt: instant.nullable(),
    costBasis: z.string(),
    madeBy: z.string(),
    createdAt: instant,
    voidedAt: instant.nullable(),
  })
  .meta({ id: "Credit" });

const balanceSchema = z.object({ currency: z.string(), remainingUsdMicros: z.int() });
const burnSchema = z.object({ invoice: z.string(), amountUsdMicros: z.int(), at: instant });

const dated = (at: number | null): string | null => (at === null ? null : iso(at));

const toAnswer = (grant: CreditGrant, now: number): z.infer<typeof creditSchema> => ({
  ...grant,
  state: creditState(grant, now),
  remainingUsdMicros: remainingOf(grant),
  effectiveAt: iso(grant.effectiveAt),
  expiresAt: dated(grant.expiresAt),
  createdAt: iso(grant.createdAt),
  voidedAt: dated(grant.voidedAt),
});

/** Prepaid credits: what an account was granted, what is left of it, and what burned it. */
export function creditRoutes(app: App, engine: Engine): void {
  changingRoutes(app, engine);
  const read = allow("account", "read_only", "admin");

  app.route({
    method: "GET",
    url: "/v1/credits",
    ...read,
    schema: {
      tags,
      summary: "The account's grants of prepaid credits, newest first, and what is left in all",
      description:
        "`balances` are what is left of the grants in force now, by currency, after the invoices that are final; what drafts and the running " +
        "month are about to burn is on them (`/v1/invoices/upcoming`).",
      querystring: pageQuerySchema,
      response: {
        200: z.object({ credits: z.array(creditSchema), balances: z.array(balanceSchema), nextCursor: z.string().nullable() }),
      },
    },
    handler: async (request) => {
      const account = accountOf(request);
      const now = engine.clock.now();
      const limit = pageLimit(request.query);
      const found = await engine.credits.list(account, seqIn(decodeCursor(request.query.cursor, 1)), limit + 1);
      if (found.length === 0) await requireAccount(engine, account);
      const balances = await engine.credits.balances(account, now);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.seq]));
      return { credits: rows.map((row) => toAnswer(row, now)), balances, nextCursor };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/credits/:credit",
    ...read,
    schema: {
      tags,
      summary: "One grant, and the invoices that burned it, newest first",
      description: "An amount below zero is what a void invoice gave back.",
      params,
      response: { 200: creditSchema.extend({ burns: z.array(burnSchema) }) },
    },
    handler: async (request) => {
      const account = accountOf(request);
      const grant = await engine.credits.find(account, request.params.credit);
      const burns = await engine.credits.burns(account, grant.id);
      return { ...toAnswer(grant, engine.clock.now()), burns: burns.map((burn) => ({ ...burn, at: iso(burn.at) })) };
    },
  });
}

/** What the operator does with credits. */
function changingRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/credits",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Grant an account prepaid credits",
      description:
        "They pay for usage of billing months that end after `effectiveAt` (default: now) and not after `expiresAt` (default: never), before " +
        "tax; the lowest `priority` first (0–100, default 50), then what expires first, then what was granted first. Amounts are integers in " +
        'millionths of `currency`. `costBasis` is what was paid for credits worth one unit of it: "1" unless told, of a `promotional` ' +
        'grant "0". The same `idempotencyKey` gives the same grant again; with another body it is `409 idempotency_mismatch`.',
      body: grantRequestSchema,
      response: { 201: creditSchema },
    },
    handler: async (request, reply) => {
      const made = { by: principalOf(request).keyId, now: engine.clock.now() };
      const grant = await engine.credits.grant(accountOf(request), request.body, made);
      return reply.code(201).send(toAnswer(grant, made.now));
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/credits/:credit",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Void a grant: what is left of it is not burned any more",
      description: "What is burned stays burned. A grant that is void already stays as it is.",
      params,
      response: { 200: creditSchema },
    },
    handler: async (request) => {
      const now = engine.clock.now();
      return toAnswer(await engine.credits.void(accountOf(request), request.params.credit, now), now);
    },
  });
}

/** A forged cursor may hold anything; Postgres would refuse what is no bigint with an error of its own. */
function seqIn(cursor: (string | number)[] | null): number | null {
  if (cursor === null) return null;
  const seq = Number(cursor[0]);
  if (!Number.isSafeInteger(seq)) throw validationFailed([{ path: "cursor", message: "is not a cursor of this list" }]);
  return seq;
}
