import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import type { Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import { iso } from "../../kernel/window.ts";
import { correctionRequestSchema, type Correction } from "../../ledger/correction.ts";
import { correctionNumber, listCorrections } from "../../ledger/correction-store.ts";
import type { App } from "../app.ts";
import { allow, principalOf } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["accounts"];
const params = z.object({ account: z.string().regex(ACCOUNT_PATTERN) });

const correctionSchema = z
  .object({
    id: z.string(),
    account: z.string(),
    meter: z.string(),
    quantity: z.int(),
    at: z.iso.datetime(),
    reason: z.string(),
    idempotencyKey: z.string(),
    madeBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: "Correction" });

const toAnswer = (correction: Correction): z.infer<typeof correctionSchema> => ({
  ...correction,
  at: iso(correction.at),
  createdAt: iso(correction.createdAt),
});

/** Corrections: the operator's own entries beside an account's usage. */
export function correctionRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:account/corrections",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Correct a counter by an entry of its own; nothing is ever edited",
      description:
        "`quantity` is added to the usage of the windows that hold `at` (default: now), in force for the next check. Below zero it gives usage " +
        "back; where corrections give back more than was used, `used` is shown as 0 and what is used next in that window is taken from the rest. " +
        "The same `idempotencyKey` gives the same answer again; with another body it is `409 idempotency_mismatch`. " +
        "A billing month of which a deployment keeps no usage is not corrected: `validation_failed` names in `at` the earliest time that can be.",
      params,
      body: correctionRequestSchema,
      response: { 201: correctionSchema },
    },
    handler: async (request, reply) => {
      const made = await engine.correct(request.params.account, request.body, principalOf(request).keyId);
      return reply.code(201).send(toAnswer(made));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:account/corrections",
    ...allow("admin"),
    schema: {
      tags,
      summary: "An account's corrections, newest first",
      params,
      querystring: pageQuerySchema,
      response: { 200: z.object({ corrections: z.array(correctionSchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const { account } = request.params;
      const limit = pageLimit(request.query);
      const before = numberIn(decodeCursor(request.query.cursor, 1));
      if (!(await findAccount(engine.walled, account, engine.clock.now()))) throw notFound(`Account ${account}`);
      const found = await listCorrections(engine.walled, account, before, limit + 1);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([correctionNumber(last.id)]));
      return { corrections: rows.map(toAnswer), nextCursor };
    },
  });
}

/** A forged cursor may hold anything; Postgres would refuse what is no bigint with an error of its own. */
function numberIn(cursor: (string | number)[] | null): number | null {
  const number = Number(cursor?.[0]);
  return Number.isSafeInteger(number) ? number : null;
}
