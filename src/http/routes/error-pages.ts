import { z } from "zod";
import { ERROR_CATALOG, notFound, type ErrorCode } from "../../kernel/errors.ts";
import type { App } from "../app.ts";
import { open } from "../auth.ts";
import { ERROR_GUIDE, exampleAnswer } from "../error-guide.ts";

/** Where a problem's `type` and `docs_url` lead: what the code means and what to do, for people. */
export function errorPages(app: App): void {
  app.route({
    method: "GET",
    url: "/docs/errors",
    ...open,
    schema: { hide: true },
    handler: async (_request, reply) => reply.type("text/html; charset=utf-8").send(indexPage()),
  });
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

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}
pre{overflow-x:auto;padding:1rem;border:1px solid #8886;border-radius:6px;font-size:14px}td{padding:.2rem 1rem .2rem 0;vertical-align:top}`;

/** All of it is text of our own. */
function pageOf(code: ErrorCode): string {
  const { status, title, agentInstruction } = ERROR_CATALOG[code];
  const { meaning, causes, steps } = ERROR_GUIDE[code];
  return documentOf(
    code,
    `<h1><code>${code}</code></h1>
<p><strong>${title}</strong> (HTTP ${status}). ${inline(meaning)}</p>
<h2>Why it happens</h2>${list("ul", causes)}
<h2>What to do</h2>${list("ol", steps)}
<h2>For a program that reads the answer</h2><p>${inline(agentInstruction)}</p>
<h2>Example</h2><pre tabindex="0">${escaped(exampleAnswer(code))}</pre>
<p><a href="/docs/errors">All errors</a> · <a href="/docs">The API</a></p>`,
  );
}

function indexPage(): string {
  const rows = Object.entries(ERROR_CATALOG).map(
    ([code, { status, title }]) =>
      `<tr><td><a href="/docs/errors/${code}"><code>${code}</code></a></td><td>${status}</td><td>${title}</td></tr>`,
  );
  return documentOf(
    "Errors",
    `<h1>Errors</h1><p>Every error is <code>application/problem+json</code> (RFC 9457); <code>code</code> is stable.</p>
<table><thead><tr><th>Code</th><th>HTTP</th><th>Meaning</th></tr></thead><tbody>${rows.join("")}</tbody></table>
<p><a href="/docs">The API</a></p>`,
  );
}

const documentOf = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} – Weir</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>\n`;

const list = (tag: "ol" | "ul", items: readonly string[]): string =>
  `<${tag}>${items.map((item) => `<li>${inline(item)}</li>`).join("")}</${tag}>`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A sentence as HTML; what is in backticks is code. */
const inline = (text: string): string => escaped(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
