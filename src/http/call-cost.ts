import type { FastifyInstance } from "fastify";
import { withTally, type Tally } from "../state/tally.ts";

declare module "fastify" {
  interface FastifyRequest {
    tally: Tally | null;
  }
}

const HEADER = "weir-usage";
const STATE_PATH = "/v1/services/";

/** Tells with every answer of the data plane what the call has counted: `Weir-Usage: state_requests=1, state_sqlite_rows_read=3`. */
export function registerCallCost(app: FastifyInstance): void {
  app.decorateRequest("tally", null);
  // After the body was read: its events would leave the context.
  app.addHook("preHandler", (request, _reply, done) => {
    if (!request.url.startsWith(STATE_PATH)) return done();
    request.tally = new Map();
    withTally(request.tally, done);
  });
  app.addHook("onSend", (request, reply, payload, done) => {
    // The pages of the documentation know no tally at all.
    if (!request.tally) return done(null, payload);
    const counted = [...request.tally].map(([meter, quantity]) => `${meter}=${quantity}`);
    if (counted.length > 0) void reply.header(HEADER, counted.join(", "));
    done(null, payload);
  });
}
