import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { checkRequestSchema, settleRequestSchema, type CheckRequest } from "../../gate/check-request.ts";
import type { Decision } from "../../gate/decision.ts";
import { accountOfReservation } from "../../gate/operation.ts";
import { notFound, toProblem, WeirError } from "../../kernel/errors.ts";
import { decisionSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { allow, ownAccount, principalOf } from "../auth.ts";

const tags = ["check"];
const CHECKS_MAX = 1_000;

const failedSchema = z.object({ error: z.looseObject({ code: z.string() }) });

/** The pre-write check: one operation, or up to 1,000, each decided on its own and in order. */
export function checkRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/check",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Decide one operation before it writes, and count it",
      body: checkRequestSchema,
      response: { 200: decisionSchema },
    },
    handler: (request) => {
      ownAccount(request, request.body.account);
      return engine.gate.check(request.body, engine.clock.now());
    },
  });

  app.route({
    method: "POST",
    url: "/v1/checks",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Decide up to 1,000 operations; one that cannot be decided carries its problem and does not stop the others",
      body: z.strictObject({ checks: z.array(checkRequestSchema).max(CHECKS_MAX) }),
      response: { 200: z.object({ decisions: z.array(z.union([decisionSchema, failedSchema])) }) },
    },
    handler: async (request) => {
      const { checks } = request.body;
      for (const check of checks) ownAccount(request, check.account);
      return { decisions: await decideAll(engine, checks, request.url) };
    },
  });
}

const endSchema = z.object({
  id: z.string(),
  status: z.enum(["settled", "released"]),
  exceeded: z.boolean(),
  usage: z.record(z.string(), z.int()),
});
const endParams = z.object({ id: z.string().min(1).max(128) });

/** The second half of `mode: "reserve"`. */
export function reservationRoutes(app: App, engine: Engine): void {
  app.route({
    method: "POST",
    url: "/v1/reservations/:id/settle",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Count what really happened; what is left out happened as it was reserved",
      params: endParams,
      body: settleRequestSchema.nullish(),
      response: { 200: endSchema },
    },
    handler: (request) => {
      const { id } = request.params;
      requireOwn(request, id);
      return engine.gate.settle(id, request.body ?? {}, engine.clock.now());
    },
  });
  app.route({
    method: "POST",
    url: "/v1/reservations/:id/release",
    ...allow("data_plane", "account", "admin"),
    schema: {
      tags,
      summary: "Give back what was held",
      params: endParams,
      body: z.strictObject({}).nullish(),
      response: { 200: endSchema },
    },
    handler: (request) => {
      const { id } = request.params;
      requireOwn(request, id);
      return engine.gate.release(id, engine.clock.now());
    },
  });
}

function requireOwn(request: FastifyRequest, id: string): void {
  const account = accountOfReservation(id);
  const own = principalOf(request).account;
  if (account === null || (own !== null && own !== account)) throw notFound(`Reservation ${id}`);
}

type Answer = Decision | z.infer<typeof failedSchema>;

/** Checks of one account run one after the other; accounts run side by side. */
async function decideAll(engine: Engine, checks: CheckRequest[], instance: string): Promise<Answer[]> {
  const now = engine.clock.now();
  const byAccount = Map.groupBy(checks.keys(), (i) => checks[i]?.account);
  const answers: Answer[] = [];
  await Promise.all(
    [...byAccount.values()].map(async (indexes) => {
      for (const i of indexes) {
        const check = checks[i];
        if (check) answers[i] = await engine.gate.check(check, now).catch((error: unknown) => asAnswer(error, instance));
      }
    }),
  );
  return answers;
}

function asAnswer(error: unknown, instance: string): Answer {
  if (error instanceof WeirError) return { error: toProblem(error, instance) };
  throw error;
}
