import { context, isSpanContextValid, propagation, SpanKind, SpanStatusCode, trace, type Span, type Tracer } from "@opentelemetry/api";
import type { FastifyRequest } from "fastify";
import type { App } from "./app.ts";

declare module "fastify" {
  interface FastifyRequest {
    span: Span | null;
  }
}

/**
 * A span for each request, a child of the caller's where it sends `traceparent`. Through OpenTelemetry's API alone: an operator who
 * wants them loads an SDK before Weir (`node --import`), and without one this costs nothing.
 */
export function traceRequests(app: App): void {
  const tracer = trace.getTracer("weir");
  app.decorateRequest("span", null);
  if (!isKept(tracer)) return;
  app.addHook("onRequest", (request, _reply, done) => {
    const from = propagation.extract(context.active(), request.headers);
    const attributes = { "http.request.method": request.method, "http.route": routeOf(request), "url.scheme": request.protocol };
    const span = tracer.startSpan(`${request.method} ${routeOf(request)}`, { kind: SpanKind.SERVER, attributes }, from);
    request.span = span;
    context.with(trace.setSpan(from, span), done);
  });
  app.addHook("onResponse", async (request, reply) => {
    const { span } = request;
    if (!span) return;
    span.setAttribute("http.response.status_code", reply.statusCode);
    if (reply.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  });
}

/** Whether there is an SDK: without one no span has an id. */
function isKept(tracer: Tracer): boolean {
  const start = tracer.startSpan("weir.start");
  start.end();
  return isSpanContextValid(start.spanContext());
}

/** The route's pattern: the path names accounts and objects. */
const routeOf = (request: FastifyRequest): string => request.routeOptions.url ?? "none";
