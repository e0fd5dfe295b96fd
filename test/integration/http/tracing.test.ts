import {
  context,
  propagation,
  ROOT_CONTEXT,
  trace,
  type Attributes,
  type Context,
  type Span,
  type TextMapPropagator,
} from "@opentelemetry/api";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";

/** A span as an SDK would keep it; the parts that Weir uses. */
interface Kept {
  name: string;
  attributes: Attributes;
  parent: string | undefined;
  ended: boolean;
}

const kept: Kept[] = [];

function startSpan(name: string, options: { attributes?: Attributes } = {}, from: Context = ROOT_CONTEXT): Span {
  const one: Kept = { name, attributes: { ...options.attributes }, parent: trace.getSpanContext(from)?.traceId, ended: false };
  kept.push(one);
  const span: Partial<Span> = {
    setAttribute: (key, value) => {
      one.attributes[key] = value;
      return span as Span;
    },
    setStatus: () => span as Span,
    end: () => void (one.ended = true),
    spanContext: () => ({ traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174", traceFlags: 1 }),
  };
  return span as Span;
}

/** Reads `traceparent` as the W3C's propagator does. */
const propagator: TextMapPropagator = {
  inject: () => {},
  extract: (from, carrier, getter) => {
    const [, traceId, spanId] = String(getter.get(carrier, "traceparent")).split("-");
    return traceId === undefined || spanId === undefined ? from : trace.setSpanContext(from, { traceId, spanId, traceFlags: 1 });
  },
  fields: () => ["traceparent"],
};

let t: TestApp;
beforeAll(async () => {
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => expect.unreachable() }) });
  propagation.setGlobalPropagator(propagator);
  t = await openTestApp();
});
afterAll(async () => {
  await t.stop();
  trace.disable();
  propagation.disable();
  context.disable();
});

it("makes each request a span, named by its route, below the caller's, and ends it", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const account = await t.newAccount();
  await t.send("GET", `/v1/accounts/${account}`, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
  const span = kept.find(({ name }) => name === "GET /v1/accounts/:account");
  expect(span).toEqual({
    name: "GET /v1/accounts/:account",
    attributes: {
      "http.request.method": "GET",
      "http.route": "/v1/accounts/:account",
      "url.scheme": "http",
      "http.response.status_code": 200,
    },
    parent: traceId,
    ended: true,
  });
});
