import { z } from "zod";
import { ERROR_CATALOG, notFound, type ErrorCode } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { open } from "../auth.ts";

/** Where a problem's `type` and `docs_url` lead: what the code means and what to do, for people. */
export function errorPages(app: App): void {
  app.route({
    method: "GET",
    url: "/docs/errors/:code",
    ...open,
    schema: { hide: true, params: z.object({ code: z.string().max(64) }) },
    handler: async (request, reply) => {
      const { code } = request.params;
      if (!Object.hasOwn(ERROR_CATALOG, code)) throw notFound(`Error ${code}`);
      return reply.type("text/html; charset=utf-8").send(pageOf(code as ErrorCode));
    },
  });
}

/** All of it is text of our own. */
function pageOf(code: ErrorCode): string {
  const { status, title, agentInstruction } = ERROR_CATALOG[code];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${code}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}</style>
<h1><code>${code}</code></h1><p>${title} (HTTP ${status}).</p><p>${agentInstruction}</p><p><a href="/docs">The API</a></p></html>`;
}
