import { readFileSync } from "node:fs";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import type { Party } from "../integration/isolation/party.ts";
import { PUBLIC_HOOK } from "../integration/isolation/party.ts";
import { requestFor, routes, type Route } from "../integration/isolation/routes.ts";
import { resolved, valuesOf, type Schema } from "./from-schema.ts";
import { HOSTILE_TEXTS, mutated, mutations, toText } from "./hostile.ts";

/** One request as it goes over the wire. */
export interface FuzzRequest {
  operation: string;
  method: string;
  bytes: Buffer;
  /** To be sent while nothing else is under way. */
  alone: boolean;
  /** Nothing ends its answer, or no body follows the answer's head. */
  headOnly: boolean;
}

/** Whose keys are tried; `stranger` belongs to another account. */
export interface Keys {
  operator: string;
  dataPlane: string;
  account: string;
  readOnly: string;
  stranger: string;
}

/** Where the clock stands. */
export const PRESENT = "2040-03-21T12:00:00.000Z";
const ROUTES = routes();
/** Answer for as long as one listens. */
const ENDLESS = new Set(["getUsageStream", "getServicesByServiceStateNamespacesByNamespaceObjectsByObjectSocket"]);
/** Rarely: they run all that is due, and everybody waits. */
const HEAVY = new Set(["postTestRunJobs", "postInvoicesRun", "getDoctor", "putTestClock"]);
/**
 * They call on every process to book what it holds, and a check without a key that was counted in a life which ends at that moment is
 * answered 503, Retry-After 1: an operator's doing, not an attacker's.
 */
const calls = (operation: string, body: string): boolean =>
  operation === "postAccountsByAccountReclaim" || (operation === "putAccountsByAccount" && /timezone|billingAnchorDay/.test(body));
const METHODS = "GET POST PUT DELETE PATCH HEAD OPTIONS TRACE PROPFIND get X".split(" ");
/** More than any route takes. */
const OVERSIZED_BYTES = 1_200_000;

const document = JSON.parse(readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8")) as {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>;
  components: { schemas: Record<string, Schema> };
};

function schemaOf({ path, method }: Route): Schema | undefined {
  const [type] = Object.values(document.paths[path]?.[method.toLowerCase()]?.requestBody?.content ?? {});
  return type && resolved(type.schema, document.components.schemas);
}

/** What is written between the head's first line and its end; latin1, as it is sent. */
type Header = readonly [name: string, value: string];

const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());
const words = (text: string): string[] => text.split(" ");
/** Parts of a path, some of which no client could have encoded. */
const SEGMENTS = [
  ...HOSTILE_TEXTS.map(encoded),
  ...words("% %Z %ZZ %00 %C3%28 %C0%AF %ED%A0%80 %F8%88%80%80%80 %2e%2e %2F .."),
  "",
  "x".repeat(7_000),
  "%25".repeat(600),
];
const QUERY_VALUES = [...SEGMENTS, ...words("1 0 1000 1001 %2B1 1%20 day hour json && = %00=%00")];
const QUERY_NAMES = ["", "x".repeat(300), ...words("__proto__ constructor limit cursor limit[] limit[a] a.b account %00")];

const CONTENT_TYPES = [
  "",
  "multipart/form-data; boundary=x",
  "application/json; charset=utf-16",
  "application/json, text/plain",
  "application/json; charset=",
  `application/json; a="${"b".repeat(900)}"`,
  ...words("text/plain application/x-www-form-urlencoded application/xml application/cloudevents+json APPLICATION/JSON"),
  ...words("application/json;;; json */* \x80\xff application/cloudevents-batch+json"),
];

/** Headers that are odd, each a request for itself; those that break the framing are raw-cases.ts's. */
const ODD: Readonly<Record<string, readonly string[]>> = {
  "weir-account": ["", "x".repeat(5_000), "a".repeat(65), ...words(".. __proto__ \xd7\x90 a,b {1} * acct_demo")],
  "content-encoding": ["gzip, gzip", "x".repeat(200), ...words("gzip deflate br identity zstd \xff")],
  expect: ["100-continue", "200-ok", ""],
  upgrade: ["WebSocket, h2c", ...words("h2c websocket \xff")],
  range: words("0 bytes=0-1 bytes=5-1 bytes=-1"),
  accept: words("*/*;q=9 text/html \xff application/json;q=0"),
  cookie: ["weir_session=%00; weir_session=", `a=${"b".repeat(4_000)}`, ...words("weir_session=x __Host-weir=\xff =;=;=")],
  authorization: [
    "Bearer",
    "Bearer  ",
    "Bearer a b",
    `Bearer ${"x".repeat(3_000)}`,
    "bearer \xff",
    "Basic dXNlcjpwYXNz",
    "Bearer undefined",
  ],
  origin: words("https://evil.example null \xff"),
  traceparent: ["x".repeat(900), "00-ff-ff-01", `00-${"0".repeat(32)}-${"0".repeat(16)}-01`, `00-${"a".repeat(32)}-${"b".repeat(16)}-zz`],
  "if-none-match": words('* W/ "x" \xff'),
  "idempotency-key": ["x".repeat(300), "\x80", ""],
  connection: ["keep-alive, close", ...words("close upgrade host \xff")],
  "x-http-method-override": words("DELETE PUT"),
  "x-forwarded-host": ["a, b", ...words("evil.example a:99999 [::1 \xff")],
  "weir-dashboard": words("1 0 \xff"),
  "last-event-id": ["\x80"],
  ["__proto__"]: ["x"],
  constructor: ["x"],
};
const ODD_HEADERS: readonly Header[] = Object.entries(ODD).flatMap(([name, values]) => values.map((value) => [name, value] as const));

type BodyForm =
  | "as it is"
  | "cut"
  | "followed"
  | "bom"
  | "not utf-8"
  | "utf-16"
  | "empty"
  | "gzip"
  | "deflate"
  | "br"
  | "chunked"
  | "oversized";
const bodyForm = fc.oneof(
  { weight: 30, arbitrary: fc.constant<BodyForm>("as it is") },
  { weight: 3, arbitrary: fc.constant<BodyForm>("chunked") },
  { weight: 4, arbitrary: fc.constantFrom<BodyForm>("cut", "followed", "bom", "not utf-8", "utf-16", "empty", "gzip", "deflate", "br") },
);

/** Out of a hundred requests, how many are changed in each way; the others are as the document has them. */
const often = <T>(percent: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: percent, arbitrary }, { weight: 100 - percent, arbitrary: fc.constant(null) });

/** Requests about a party: to any route, right or nearly right or hostile in one or several ways. */
export function requestsAbout(party: Party, keys: Keys, hook: string): fc.Arbitrary<FuzzRequest> {
  const perRoute = ROUTES.map((route) => ({ weight: HEAVY.has(route.operationId) ? 1 : 12, arbitrary: toRoute(route, party, keys, hook) }));
  return fc.oneof(...perRoute);
}

function toRoute(route: Route, party: Party, keys: Keys, hook: string): fc.Arbitrary<FuzzRequest> {
  const plain = requestFor(route, party);
  const schema = schemaOf(route);
  const known = new Map<string, fc.Arbitrary<unknown>>([
    ...(["account", "service", "namespace", "object"] as const).map((name) => [name, fc.constant(party[name])] as const),
    ["subject", fc.constant(party.account)],
    ["meter", fc.constantFrom("log_events", "state_requests", "state_sqlite_storage_bytes")],
    ["plan", fc.constantFrom("free", "pro")],
    ["url", fc.constantFrom(`${hook}/new`, ...HOSTILE_TEXTS.filter((text) => text.includes(":")))],
    ["workerUrl", fc.constantFrom(null, `${hook}/worker`)],
  ]);
  const body = fc.oneof(
    { weight: 2, arbitrary: fc.constant(plain.body) },
    ...(schema ? [{ weight: 3, arbitrary: valuesOf(schema, known) }] : [{ weight: 1, arbitrary: fc.constant({ a: 1 }) }]),
  );
  const parts = fc.record({
    body,
    changes: often(45, mutations),
    form: bodyForm,
    oversized: often(1, fc.constantFrom("spaces", "levels", "text")),
    segment: often(
      20,
      fc.record({ where: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), by: fc.constantFrom(...SEGMENTS) }),
    ),
    query: often(
      20,
      fc.array(fc.tuple(fc.constantFrom(...QUERY_NAMES, ...route.query, ...route.query), fc.constantFrom(...QUERY_VALUES)), {
        minLength: 1,
        maxLength: 3,
      }),
    ),
    key: fc.oneof(
      { weight: 5, arbitrary: fc.constant(keys.account) },
      { weight: 5, arbitrary: fc.constant(keys.operator) },
      { weight: 2, arbitrary: fc.constantFrom(keys.dataPlane, keys.readOnly, keys.stranger) },
      { weight: 1, arbitrary: fc.constantFrom(null, "junk", `weir_admin_${"x".repeat(20)}_${"y".repeat(30)}`) },
    ),
    type: often(8, fc.constantFrom(...CONTENT_TYPES)),
    odd: often(15, fc.array(fc.constantFrom(...ODD_HEADERS), { minLength: 1, maxLength: 2 })),
    method: often(5, fc.constantFrom(...METHODS)),
    address: fc.nat({ max: 65_535 }),
  });
  return parts.map((p) => {
    const method = p.method ?? route.method;
    const changes = p.changes;
    const value = p.changes && p.body !== undefined ? mutated(p.body, changes ?? []) : p.body;
    const text = settled(route, value, hook);
    const payload = p.oversized ? oversized(p.oversized) : encodedBody(text, p.form);
    const own = p.key === keys.operator || p.key === keys.dataPlane;
    const headers: Header[] = [
      ["host", "weir"],
      // From as many addresses as there are attackers: one alone would soon be told to wait.
      ["x-forwarded-for", `10.0.${p.address >> 8}.${p.address & 255}`],
      ...(p.key === null ? [] : [["authorization", `Bearer ${p.key}`] as const]),
      ...(own ? [["weir-account", party.account] as const] : []),
      ...(payload === null ? [] : [["content-type", p.type ?? "application/json"] as const]),
      ...((p.odd ?? []) as Header[]),
      ...(payload && ["gzip", "deflate", "br"].includes(p.form) ? [["content-encoding", p.form] as const] : []),
    ];
    const target = withQuery(withSegment(plain.url, p.segment), p.query ?? []);
    return {
      operation: route.operationId,
      method,
      bytes: inBytes(method, target, headers, payload, p.form === "chunked" && !p.oversized),
      alone: calls(route.operationId, text ?? ""),
      headOnly: method === "HEAD" || ENDLESS.has(route.operationId),
    };
  });
}

/** A body as text. The test clock never leaves the present: a leap of centuries would bill them all. What is called when something is due is the harness' own receiver. */
function settled(route: Route, value: unknown, hook: string): string | null {
  if (value === undefined) return null;
  const text = toText(value).replaceAll(PUBLIC_HOOK, hook);
  const isLater = Date.parse(/"now":"([^"]*)"/.exec(text)?.[1] ?? "") > Date.parse(PRESENT);
  return route.operationId === "putTestClock" && isLater ? JSON.stringify({ now: PRESENT }) : text;
}

function encodedBody(text: string | null, form: BodyForm): Buffer | null {
  if (text === null) return null;
  const bytes = Buffer.from(text);
  switch (form) {
    case "cut":
      return bytes.subarray(0, Math.floor(bytes.length / 2));
    case "followed":
      return Buffer.concat([bytes, Buffer.from("{}")]);
    case "bom":
      return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]);
    case "not utf-8":
      return Buffer.concat([bytes.subarray(0, -2), Buffer.from([0xff, 0xfe]), bytes.subarray(-2)]);
    case "utf-16":
      return Buffer.from(text, "utf16le");
    case "empty":
      return Buffer.alloc(0);
    case "gzip":
      return gzipSync(bytes);
    case "deflate":
      return deflateSync(bytes);
    case "br":
      return brotliCompressSync(bytes);
    default:
      return bytes;
  }
}

function oversized(what: "spaces" | "levels" | "text"): Buffer {
  if (what === "spaces") return Buffer.alloc(OVERSIZED_BYTES, " ");
  if (what === "levels") return Buffer.alloc(900_000, "[");
  return Buffer.from(`{"account":"${"x".repeat(900_000)}"}`);
}

function withSegment(url: string, change: { where: number; by: string } | null): string {
  if (!change) return url;
  const [path = "", query] = url.split("?", 2);
  const segments = path.split("/");
  segments[1 + Math.floor(change.where * (segments.length - 1))] = change.by;
  return query === undefined ? segments.join("/") : `${segments.join("/")}?${query}`;
}

const withQuery = (url: string, pairs: readonly (readonly [string, string])[]): string =>
  pairs.length === 0 ? url : `${url}${url.includes("?") ? "&" : "?"}${pairs.map(([name, value]) => `${name}=${value}`).join("&")}`;

function inBytes(method: string, target: string, headers: readonly Header[], payload: Buffer | null, chunked: boolean): Buffer {
  const framing: Header[] =
    payload === null ? [] : chunked ? [["transfer-encoding", "chunked"]] : [["content-length", String(payload.length)]];
  const lines = [`${method} ${target} HTTP/1.1`, ...[...headers, ...framing].map(([name, value]) => `${name}: ${value}`)];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return Buffer.concat([head, payload === null ? Buffer.alloc(0) : chunked ? inChunks(payload) : payload]);
}

function inChunks(payload: Buffer): Buffer {
  const middle = Math.floor(payload.length / 2);
  const chunks = [payload.subarray(0, middle), payload.subarray(middle)].filter((chunk) => chunk.length > 0);
  const parts = chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)};x=y\r\n`), chunk, Buffer.from("\r\n")]);
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}
