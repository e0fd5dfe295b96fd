import type { FastifyRequest, preHandlerAsyncHookHandler } from "fastify";
import { admit, type CheckRequest, type Meter } from "weir/client";

/** A `preHandler` that asks Weir first: what is denied, or cannot be decided, never reaches the handler. */
export function metered(meter: Meter, operation: (request: FastifyRequest) => CheckRequest): preHandlerAsyncHookHandler {
  return async (request, reply) => {
    const refusal = await admit(meter, operation(request));
    if (refusal) return reply.code(refusal.status).headers(refusal.headers).send(refusal.body);
  };
}
