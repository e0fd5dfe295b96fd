import { readFileSync } from "node:fs";
import type { Scope } from "../../../src/accounts/api-key.ts";
import type { Party } from "./party.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** A route as the OpenAPI document has it. */
export interface Route {
  method: Method;
  path: string;
  operationId: string;
  /** Empty for a route that needs no key. */
  scopes: readonly Scope[];
  takesBody: boolean;
  query: readonly string[];
}

interface Operation {
  operationId: string;
  "x-scopes"?: Scope[];
  requestBody?: object;
  parameters?: { name: string; in: string; required?: boolean }[];
}

/** Every route of the API. The document is generated and held current by `npm test`, so a route cannot be missing. */
export function routes(): Route[] {
  const text = readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8");
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Operation>> };
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase() as Method,
      path,
      operationId: operation.operationId,
      scopes: operation["x-scopes"] ?? [],
      takesBody: operation.requestBody !== undefined,
      query: (operation.parameters ?? []).filter((p) => p.in === "query").map((p) => p.name),
    })),
  );
}

/** Served with WEIR_TEST_CLOCK=1 only, to the operator. */
export const isForTests = ({ path }: Route): boolean => path.startsWith("/v1/test/");

/** What stands for a path parameter; the first line that fits. A route with another parameter needs a line here. */
const PARAMETERS: readonly [path: RegExp, name: string, value: (party: Party) => string][] = [
  [/^\/v1\/(?:accounts\/\{account\}\/)?keys\//, "id", (p) => p.apiKey],
  [/^\/v1\/webhooks\//, "id", (p) => p.webhook],
  [/^\/v1\/reservations\/.*\/settle$/, "id", (p) => p.reservation],
  [/^\/v1\/reservations\/.*\/release$/, "id", (p) => p.secondReservation],
  [/^\/v1\/leases\/.*\/settle$/, "id", (p) => p.lease],
  [/^\/v1\/leases\//, "id", (p) => p.secondLease],
  [/\/void$/, "invoice", (p) => p.secondInvoice],
  [/./, "invoice", (p) => p.invoice],
  [/./, "credit", (p) => p.credit],
  [/./, "line", () => "1"],
  [/./, "deliveryId", (p) => p.delivery],
  [/./, "account", (p) => p.account],
  [/./, "service", (p) => p.service],
  [/./, "namespace", (p) => p.namespace],
  [/./, "object", (p) => p.object],
  [/./, "key", (p) => p.key],
  [/./, "meter", () => "log_events"],
  [/./, "period", () => "day"],
  [/./, "version", () => "1"],
  [/./, "provider", () => "stripe"],
];

/** What a query parameter is given; those that are left out narrow or page what is there anyway. */
const QUERIES: Readonly<Record<string, (party: Party) => string>> = {
  meter: () => "log_events",
  service: (p) => p.service,
  namespace: (p) => p.namespace,
};

const event = (p: Party) => ({
  specversion: "1.0",
  id: `event ${p.mark}`,
  source: p.mark,
  type: "weir.usage",
  subject: p.account,
  data: { usage: { log_events: 1 } },
});

/** A body that would do something to the party, were it let. A route that takes a body needs a line here. */
const BODIES: Readonly<Record<string, (party: Party) => unknown>> = {
  postCheck: (p) => ({ account: p.account, usage: { state_requests: 1 } }),
  postChecks: (p) => ({ checks: [{ account: p.account, usage: { state_requests: 1 } }] }),
  postReservationsByIdSettle: () => ({ usage: { state_requests: 2 } }),
  postReservationsByIdRelease: () => ({}),
  putUsageCapsByMeter: () => ({ period: "day", capValue: 1 }),
  postPricingRate: () => ({ charge: { model: "per_unit", unitSize: 1, priceUsdMicros: "1" }, quantity: 1 }),
  postPricingSimulate: (p) => ({
    account: p.account,
    plan: { key: "tried", name: "Tried", subscriptionUsdMicrosPerMonth: 0 },
    from: "2026-11-01T00:00:00Z",
    to: "2026-11-02T00:00:00Z",
  }),
  putCatalog: () => ({}),
  postCatalogChanges: () => ({}),
  putAccountsByAccount: (p) => ({ name: `Name ${p.mark}`, plan: "free" }),
  putAccountsByAccountSubscription: () => ({ plan: "free" }),
  postAccountsByAccountSubscriptionCancel: () => ({}),
  putAccountsByAccountBillingTerms: () => ({}),
  postInvoicesByInvoicePay: () => ({}),
  postInvoicesByInvoiceCreditNotes: (p) => ({ amountUsdMicros: 1, reason: "r", idempotencyKey: `k ${p.mark}` }),
  postCredits: (p) => ({ amountUsdMicros: 1, name: `Credits ${p.mark}`, idempotencyKey: `k ${p.mark}` }),
  putAccountsByAccountPaymentCustomersByProvider: () => ({ customer: "cus_1" }),
  postAccountsByAccountKeys: () => ({ scope: "account" }),
  postAccountsByAccountKeysByIdRotate: () => ({}),
  postKeys: () => ({ scope: "data_plane" }),
  postKeysByIdRotate: () => ({}),
  postAccountsByAccountCorrections: (p) => ({ meter: "log_events", quantity: 1, reason: "r", idempotencyKey: `k ${p.mark}` }),
  postRecount: (p) => ({
    account: p.account,
    service: p.service,
    namespace: p.namespace,
    objects: [{ object: p.object, storageBytes: 1 }],
  }),
  postRecountState: (p) => ({ account: p.account }),
  postWebhooks: () => ({ url: "https://93.184.215.14/new" }),
  postWebhooksByIdRotate: () => ({}),
  postEvents: event,
  putServicesByService: () => ({ workerUrl: null }),
  postServicesByServiceStateNamespaces: () => ({ name: "Hall" }),
  postServicesByServiceStateNamespacesByNamespaceRotate: () => ({}),
  putServicesByServiceStateNamespacesByNamespaceObjectsByObjectValuesByKey: () => ({ value: "another", encoding: "text" }),
  putServicesByServiceStateNamespacesByNamespaceObjectsByObjectAlarm: () => ({ delaySeconds: 60 }),
  postLeases: (p) => ({ account: p.account, meters: { log_events: 1 } }),
  postLeasesByIdSettle: () => ({ seq: 1, used: {} }),
  postSession: (p) => ({ key: p.secret }),
  putTestClock: () => ({ now: "2026-11-21T13:00:00Z" }),
};

/** What the table above lacks for a route: nothing, when it is complete. */
export function missing(route: Route): string[] {
  const unknown = parametersOf(route)
    .filter((name) => !valueOf(route, name))
    .map((name) => `${route.operationId}: no value for the path parameter ${name}`);
  return route.takesBody && !(route.operationId in BODIES) ? [...unknown, `${route.operationId}: no body`] : unknown;
}

export interface Request {
  method: Method;
  url: string;
  body?: unknown;
}

/** The route, asked about a party. */
export function requestFor(route: Route, party: Party): Request {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(valueOf(route, name)?.(party) ?? ""));
  const query = route.query.flatMap((name) => (QUERIES[name] ? [`${name}=${encodeURIComponent(QUERIES[name](party))}`] : []));
  const body = route.takesBody ? BODIES[route.operationId]?.(party) : undefined;
  return { method: route.method, url: query.length > 0 ? `${path}?${query.join("&")}` : path, ...(body === undefined ? {} : { body }) };
}

const parametersOf = ({ path }: Route): string[] => [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);

const valueOf = ({ path }: Route, name: string): ((party: Party) => string) | undefined =>
  PARAMETERS.find(([pattern, of]) => of === name && pattern.test(path))?.[2];
