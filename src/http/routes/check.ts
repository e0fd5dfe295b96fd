import type { FastifyRequest } from "fastify";
import type { FastifyRouteSchemaDef, FastifyValidationResult } from "fastify/types/schema.js";
import { validatorCompiler } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Engine } from "../../engine.ts";
import { checkRequestSchema, settleRequestSchema, type CheckRequest } from "../../gate/check-request.ts";
import type { Decision } from "../../gate/decision.ts";
import { accountOfReservation } from "../../gate/operation.ts";
import { isPlainCheck } from "../../gate/plain-check.ts";
import { notFound, toProblem, WeirError } from "../../kernel/errors.ts";
import { decisionSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { allow, ownAccount, principalOf } from "../auth.ts";
import { fieldsFailed } from "../problems.ts";

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
    validatorCompiler: plainOr(isPlainCheck),
    serializerCompiler: asItIs,
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
    validatorCompiler: eachOnItsOwn,
    serializerCompiler: asItIs,
    handler: async (request) => {
      const { checks } = request.body as { checks: readonly Given[] };
      return { decisions: await decideAll(engine, ownOrErrors(request, checks), request.url) };
    },
  });
}

/** Somebody else's account does not exist, and stops no other check of the batch. Throws `not_found` where every check names one. */
function ownOrErrors(request: FastifyRequest, checks: readonly Given[]): Given[] {
  const { account: own } = principalOf(request);
  const isOwn = (check: Given): boolean => own === null || check instanceof WeirError || check.account === own;
  const [first] = checks;
  if (first && !(first instanceof WeirError) && !checks.some(isOwn)) ownAccount(request, first.account);
  return checks.map((check) => (check instanceof WeirError || isOwn(check) ? check : notFound(`Account ${check.account}`)));
}

/** Takes a body that is plainly right at once, and leaves every other to the schema, which says what is wrong. */
const plainOr =
  (isPlain: (body: unknown) => boolean) =>
  (route: FastifyRouteSchemaDef<unknown>): FastifyValidationResult => {
    const bySchema = validatorCompiler(route as FastifyRouteSchemaDef<z.ZodType>);
    return (body: unknown) => (isPlain(body) ? { value: body } : bySchema(body));
  };

/** A check of a batch, or what is wrong with it. */
type Given = CheckRequest | WeirError;

const batchSchema = z.strictObject({ checks: z.array(z.unknown()).max(CHECKS_MAX) });

/** Takes the batch apart: a check that is malformed is told so in its place, as one that cannot be decided is, and stops no other. */
const eachOnItsOwn = (route: FastifyRouteSchemaDef<unknown>): FastifyValidationResult => {
  const asBatch = validatorCompiler({ ...route, schema: batchSchema });
  return (body: unknown) => {
    const batch = asBatch(body) as { value: z.infer<typeof batchSchema> } | { error: Error };
    return "error" in batch ? batch : { value: { checks: batch.value.checks.map(asGiven) } };
  };
};

function asGiven(check: unknown): Given {
  if (isPlainCheck(check)) return check;
  const { success, data, error } = checkRequestSchema.safeParse(check);
  if (success) return data;
  return fieldsFailed(error.issues.map(({ path, message }) => ({ path: path.join("."), message })));
}

/** A decision is made here, member by member, of nothing else: to parse it again by its schema took longer than to decide. */
const asItIs = () => (answer: unknown) => JSON.stringify(answer);

const endSchema = z
  .object({
    id: z.string(),
    status: z.enum(["settled", "released"]),
    exceeded: z.boolean(),
    usage: z.record(z.string(), z.int()),
  })
  .meta({ id: "ReservationEnd" });
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

/** Checks of one account run one after the other, but like ones at once: which of them is first is all the same. Accounts run side by side. */
async function decideAll(engine: Engine, checks: readonly Given[], instance: string): Promise<Answer[]> {
  const now = engine.clock.now();
  const decide = (check: CheckRequest): Promise<Answer> =>
    engine.gate.check(check, now).catch((error: unknown) => asAnswer(error, instance));
  const answers: Promise<Answer>[] = [];
  const sound: Indexed[] = [];
  for (const [index, check] of checks.entries()) {
    if (check instanceof WeirError) answers[index] = Promise.resolve(asAnswer(check, instance));
    else sound.push({ check, index });
  }
  for (const own of Map.groupBy(sound, ({ check }) => check.account).values()) {
    let before: readonly Promise<Answer>[] = [];
    for (const run of runsOfLike(own)) {
      const turn = before.length === 0 ? null : Promise.all(before);
      before = run.map(({ check, index }) => (answers[index] = turn === null ? decide(check) : turn.then(() => decide(check))));
    }
  }
  return Promise.all(answers);
}

interface Indexed {
  check: CheckRequest;
  index: number;
}

function runsOfLike(own: readonly Indexed[]): Indexed[][] {
  const runs: Indexed[][] = [];
  let before: CheckRequest | null = null;
  for (const one of own) {
    if (before !== null && isLike(before, one.check)) runs.at(-1)?.push(one);
    else runs.push([one]);
    before = one.check;
  }
  return runs;
}

/** Only for checks that count and nothing else. */
function isLike(a: CheckRequest, b: CheckRequest): boolean {
  if (!a.usage || !b.usage || a.storageBytes || b.storageBytes || a.idempotencyKey !== undefined || b.idempotencyKey !== undefined)
    return false;
  if (a.service !== b.service || a.namespace !== b.namespace || a.mode !== b.mode || (a.mode ?? "consume") !== "consume") return false;
  if (a.operation !== b.operation || a.payloadBytes !== b.payloadBytes) return false;
  const [mine, theirs] = [Object.entries(a.usage), b.usage];
  return mine.length === Object.keys(theirs).length && mine.every(([meter, quantity]) => theirs[meter] === quantity);
}

function asAnswer(error: unknown, instance: string): Answer {
  if (error instanceof WeirError) return { error: toProblem(error, instance) };
  throw error;
}
