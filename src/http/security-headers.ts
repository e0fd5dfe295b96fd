import type { FastifyInstance } from "fastify";

/** What an answer that is no page may do in a browser: nothing, wherever it ends up. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'";
/** The API's own documentation: its scripts and styles are files; it draws icons from data: URLs and sets style attributes. */
const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
const DOCS_PATH = "/docs";
/** A year; sent over TLS only, where it means something. */
const STRICT_TRANSPORT = "max-age=31536000";

/** Gives every answer the headers that keep a browser from misusing it. A route that sets one of them itself is left alone. */
export function registerSecurityHeaders(app: FastifyInstance): void {
  app.addHook("onSend", (request, reply, payload, done) => {
    if (!reply.hasHeader("content-security-policy"))
      void reply.header("content-security-policy", request.url.startsWith(DOCS_PATH) ? DOCS_POLICY : DATA_POLICY);
    if (!reply.hasHeader("cache-control")) void reply.header("cache-control", "no-store");
    void reply.header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer");
    if (request.protocol === "https") void reply.header("strict-transport-security", STRICT_TRANSPORT);
    done(null, payload);
  });
}
