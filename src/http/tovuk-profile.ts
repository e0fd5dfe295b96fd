import type { App } from "./app.ts";

/** A member that answers below `path` also carry under another name. */
const ALSO: readonly { path: RegExp; name: string; also: string }[] = [
  { path: /^\/v1\/services\/[^/]+\/state\//, name: "storageBytes", also: "storageUsedBytes" },
  { path: /^\/v1\/usage/, name: "meter", also: "metric" },
  { path: /^\/v1\/services\/[^/]+\/state\/namespaces/, name: "name", also: "className" },
];
/** What a body may say in place of Weir's own name for it. */
const GIVEN: readonly { path: RegExp; name: string; own: string }[] = [
  { path: /^\/v1\/services\/[^/]+\/state\/namespaces$/, name: "className", own: "name" },
];

/**
 * The names of the platform whose State contract Weir goes on serving (WEIR_PROFILE=tovuk): paths and headers are the same as ever, and
 * where its JSON names a thing otherwise, answers carry both names and bodies may use either. Register it before the routes.
 */
export function registerTovukProfile(app: App): void {
  app.addHook("preValidation", async (request) => {
    const path = pathOf(request.url);
    const { body } = request;
    if (!isObject(body)) return;
    for (const { path: where, name, own } of GIVEN) {
      if (!where.test(path) || !(name in body) || own in body) continue;
      const { [name]: value, ...rest } = body;
      request.body = { ...rest, [own]: value };
    }
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const path = pathOf(request.url);
    const names = ALSO.filter(({ path: where }) => where.test(path));
    const type = String(reply.getHeader("content-type") ?? "");
    if (names.length === 0 || typeof payload !== "string" || !type.startsWith("application/json")) return payload;
    const both = JSON.stringify(JSON.parse(payload, (_, part: unknown) => (isObject(part) ? withBoth(part, names) : part)));
    // Fastify has measured the answer without them.
    if (reply.hasHeader("content-length")) void reply.header("content-length", Buffer.byteLength(both));
    return both;
  });
}

function withBoth(part: Record<string, unknown>, names: readonly { name: string; also: string }[]): Record<string, unknown> {
  const found = names.filter(({ name, also }) => name in part && !(also in part));
  return { ...part, ...Object.fromEntries(found.map(({ name, also }) => [also, part[name]])) };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const pathOf = (url: string): string => url.split("?", 1)[0] ?? url;
