import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { SCOPES } from "../accounts/api-key.ts";
import type { Engine } from "../engine.ts";
import { WeirError } from "../kernel/errors.ts";
import { iso } from "../kernel/window.ts";
import type { App } from "./app.ts";
import { allow, open, principalOf, type Principal } from "./auth.ts";
import { SessionSeal } from "./session-seal.ts";

const COOKIE = "weir_session";
/** A working day; the key itself may be revoked at any time and ends the session with it. */
const SESSION_HOURS = 12;
const SESSION_S = SESSION_HOURS * 3_600;
const KEY_LENGTH_MAX = 256;
/** What a page sends with every unsafe call; a form cannot, and a script of another site would have to ask first. */
const PAGE_HEADER = "weir-dashboard";

const tags = ["session"];
const sessionSchema = z.object({
  scope: z.enum(SCOPES),
  account: z.string().nullable().describe("Null for an operator's key: it names an account in Weir-Account."),
});

/**
 * Sessions of the dashboard: an API key that the browser keeps in a cookie no script can read. A request that brings one and no
 * Authorization header is treated as if it had brought the key. Register it before the routes.
 */
export function registerSessions(app: App, { engine, adminKey }: { engine: Engine; adminKey: string }): void {
  const seal = new SessionSeal(adminKey);
  app.addHook("onRequest", async (request) => {
    if (request.headers.authorization !== undefined) return;
    const sealed = cookieOf(request);
    if (sealed === null) return;
    if (!isFromOwnPage(request)) return;
    const content = seal.open(sealed, engine.clock.now());
    if (content) request.headers.authorization = `Bearer ${content.key}`;
  });
  startRoute(app, engine, seal);
  presentRoutes(app);
}

function startRoute(app: App, engine: Engine, seal: SessionSeal): void {
  app.route({
    method: "POST",
    url: "/v1/session",
    ...open,
    schema: {
      tags,
      summary: "Sign in to the dashboard with an API key; the answer sets a cookie that no script can read",
      body: z.strictObject({ key: z.string().min(1).max(KEY_LENGTH_MAX) }),
      response: { 200: sessionSchema.extend({ expiresAt: z.iso.datetime() }) },
    },
    handler: async (request, reply) => {
      if (!isFromOwnPage(request)) throw new WeirError("forbidden", "Sign in on the dashboard's own page; other programs send a key.");
      const { key } = request.body;
      request.headers.authorization = `Bearer ${key}`;
      const principal = await app.authenticator.principalOf(request);
      const until = engine.clock.now() + SESSION_S * 1_000;
      setCookie(request, reply, seal.seal({ key, until }), SESSION_S);
      return { ...toAnswer(principal), expiresAt: iso(until) };
    },
  });
}

function presentRoutes(app: App): void {
  app.route({
    method: "GET",
    url: "/v1/session",
    ...allow("admin", "data_plane", "account", "read_only"),
    schema: { tags, summary: "Whose key this is: its scope, and its account where it has one", response: { 200: sessionSchema } },
    handler: async (request) => toAnswer(principalOf(request)),
  });
  app.route({
    method: "DELETE",
    url: "/v1/session",
    ...open,
    schema: { tags, summary: "Sign out: removes the cookie", response: { 200: z.object({ ended: z.literal(true) }) } },
    handler: async (request, reply) => {
      setCookie(request, reply, "", 0);
      return { ended: true as const };
    },
  });
}

const toAnswer = ({ scope, account }: Principal): z.infer<typeof sessionSchema> => ({ scope, account });

/**
 * Whether a cookie may speak for a request. SameSite=Strict keeps other sites out, but another port of the same host is the same site:
 * the browser's word of where a request comes from (Fetch Metadata, else Origin) has to say ours. Whatever changes something brings a
 * header besides, which no form can send, and a script elsewhere only with a permission that nobody gives.
 */
function isFromOwnPage(request: FastifyRequest): boolean {
  const { origin, host, [PAGE_HEADER]: page, "sec-fetch-site": site } = request.headers;
  const own = site === undefined ? origin === undefined || hostOf(origin) === host : site === "same-origin";
  return isSafe(request) ? own || site === "none" : own && page !== undefined;
}

const isSafe = ({ method }: FastifyRequest): boolean => method === "GET" || method === "HEAD";

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

function cookieOf({ headers }: FastifyRequest): string | null {
  const found = new RegExp(`(?:^|;)\\s*${COOKIE}=([A-Za-z0-9_-]+)`).exec(headers.cookie ?? "");
  return found?.[1] ?? null;
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, maxAgeS: number): void {
  // A proxy that ends TLS says so; whoever claims it falsely only makes the cookie stricter.
  const secure = request.protocol === "https" || request.headers["x-forwarded-proto"] === "https";
  void reply.header("set-cookie", `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure ? "; Secure" : ""}`);
  void reply.header("cache-control", "no-store");
}
