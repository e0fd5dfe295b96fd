import type { Request, RequestHandler } from "express";
import { admit, type CheckRequest, type Meter } from "weir/client";

/** Middleware that asks Weir first: what is denied, or cannot be decided, never reaches the handler. For Express 5, which awaits it. */
export function metered(meter: Meter, operation: (request: Request) => CheckRequest): RequestHandler {
  return async (request, response, next) => {
    const refusal = await admit(meter, operation(request));
    if (!refusal) return next();
    response.status(refusal.status).set(refusal.headers).send(JSON.stringify(refusal.body));
  };
}
