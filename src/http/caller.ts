import type { FastifyReply, FastifyRequest, HTTPMethods, preHandlerHookHandler } from "fastify";
import { appendAudit } from "../audit/audit-store.ts";
import type { Engine } from "../engine.ts";
import { onBehalfOf, type Caller } from "../kernel/caller.ts";
import type { App } from "./app.ts";
import { operationId } from "./openapi.ts";

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller | null;
  }
}

/** What a data plane calls for every write of its own: it asks Redis, in the name of an account that was looked at already. */
const DATA_PLANE =
  /^\/v1\/(?:checks?|events|(?:reservations|leases)(?:\/.*)?|services\/:service\/state\/namespaces\/:namespace\/objects(?:\/.*)?)$/;

/** Operations that change something which is no row of a watched table (sql/migrations/0024): told to the audit log by their name. */
const TOLD = new Set([
  "postRecount",
  "postRecountState",
  "postAccountsByAccountReclaim",
  "postInvoicesByInvoiceFinalize",
  "postInvoicesRun",
  "postInvoicesByInvoiceHandOver",
  "putAccountsByAccountPaymentCustomersByProvider",
  "putTestClock",
  "postTestRunJobs",
]);

/**
 * Lets statements of a request know on whose behalf they run (stores/sessions.ts): a tenant's see its own account's rows alone, and what is
 * changed is put down to the key that asked. Register it before the routes.
 */
export function registerCallers(app: App, engine: Engine): void {
  app.decorateRequest("caller", null);
  app.addHook("onRoute", (route) => {
    if (DATA_PLANE.test(route.url)) return;
    const operation = operationId(String(route.method).toLowerCase(), route.url);
    route.preHandler = [named(engine, operation, changes(route.method)), ...[route.preHandler ?? []].flat()];
    if (TOLD.has(operation)) route.preSerialization = [told(engine, operation), ...[route.preSerialization ?? []].flat()];
  });
  app.addHook("onResponse", (request, _reply, done) => {
    if (request.caller) request.caller.answered = true;
    done();
  });
}

const changes = (method: HTTPMethods | HTTPMethods[]): boolean => ![method].flat().every((m) => m === "GET" || m === "HEAD");

/** With a callback, so that all that follows runs inside. */
function named(engine: Engine, operation: string, changing: boolean): preHandlerHookHandler {
  return (request, _reply, done) => {
    const { principal } = request;
    if (principal === null || (principal.account === null && !changing)) return done();
    const { account, scope, keyId: actor } = principal;
    const caller = { account, actor, scope, operation, changes: changing, at: engine.clock.now(), answered: false };
    request.caller = caller;
    onBehalfOf(caller, done);
  };
}

/** Before the answer: where it cannot be told, the caller gets an error and asks again. */
function told(engine: Engine, operation: string) {
  return async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> => {
    // A refusal comes by here too.
    if (reply.statusCode >= 400) return payload;
    const params = membersOf(request.params);
    // A body that the route does not read is anybody's word: it names no account.
    const body = request.routeOptions.schema?.body === undefined ? {} : membersOf(request.body);
    const { account } = { ...membersOf(payload), ...body, ...params };
    const target = Object.entries(params).filter(([name]) => name !== "account");
    const named = target.map(([, value]) => String(value)).join("/");
    await appendAudit(engine.walled, typeof account === "string" ? account : null, operation, named, {});
    return payload;
  };
}

const membersOf = (part: unknown): Record<string, unknown> =>
  typeof part === "object" && part !== null ? (part as Record<string, unknown>) : {};
