import type { Context, MiddlewareHandler } from "hono";
import { admit, type CheckRequest, type Meter } from "weir/client";

/** Middleware that asks Weir first: what is denied, or cannot be decided, never reaches the handler. */
export function metered(meter: Meter, operation: (context: Context) => CheckRequest): MiddlewareHandler {
  return async (context, next) => {
    const refusal = await admit(meter, operation(context));
    if (refusal) return context.body(JSON.stringify(refusal.body), refusal.status, refusal.headers);
    await next();
  };
}
