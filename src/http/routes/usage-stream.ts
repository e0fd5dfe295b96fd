import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import type { Engine } from "../../engine.ts";
import { sleep } from "../../kernel/clock.ts";
import { notFound } from "../../kernel/errors.ts";
import { denialSchema } from "../answers.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { LiveUsage, type LiveEvent } from "../live-usage.ts";

/** A proxy gives a silent connection up after a minute or so; and the key is looked at again. */
const HEARTBEAT_MS = 15_000;
/** A reader that is behind by more than this misses what is between; the next figures are complete again. */
const BEHIND_BYTES_MAX = 256 * 1024;

const reading = allow("account", "read_only", "admin", "data_plane");

const recentDenialSchema = z.object({
  at: z.iso.datetime(),
  count: z.int(),
  service: z.string().nullable(),
  namespace: z.string().nullable(),
  object: z.string().nullable(),
  operation: z.string().nullable(),
  denials: z.array(denialSchema),
});

/** Usage as it moves, for pages. */
export function usageStreamRoutes(app: App, engine: Engine): void {
  const live = new LiveUsage(engine);
  const streams = new AbortController();
  // An open stream would keep the server from closing.
  app.addHook("preClose", async () => {
    streams.abort();
    live.close();
  });

  app.route({
    method: "GET",
    url: "/v1/usage/denials",
    ...reading,
    schema: {
      tags: ["usage"],
      summary: "The account's latest denials, newest first",
      description: "The last 50 within a day, alike ones of half a second counted together. A view, not a ledger: kept in Redis only.",
      response: { 200: z.object({ denials: z.array(recentDenialSchema), nextCursor: z.null() }) },
    },
    handler: async (request) => {
      const account = accountOf(request);
      if (!(await findAccount(engine.walled, account, engine.clock.now()))) throw notFound(`Account ${account}`);
      return { denials: await engine.denials.recent(account), nextCursor: null };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/usage/stream",
    ...reading,
    // A head alone would never be sent, and hold a watcher's place until the caller leaves.
    exposeHeadRoute: false,
    schema: {
      tags: ["usage"],
      summary: "Usage as it moves: Server-Sent Events",
      description:
        "`usage` carries what `GET /v1/usage` answers, `denials` what `GET /v1/usage/denials` answers: once at the beginning, then after each " +
        "change, at most twice a second. `trouble` says that the figures cannot be read at the moment. A comment every 15 s keeps the line open.",
      response: { 200: { description: "Events", content: { "text/event-stream": { schema: z.string() } } } },
    },
    handler: async (request, reply) => {
      const account = accountOf(request);
      if (!(await findAccount(engine.walled, account, engine.clock.now()))) throw notFound(`Account ${account}`);
      await stream(request, reply, (watcher) => live.watch(account, watcher), streams.signal);
      return reply;
    },
  });
}

/** Writes events until the reader goes, the server closes or the key is no longer good. */
async function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  watch: (watcher: (event: LiveEvent) => void) => () => void,
  closing: AbortSignal,
): Promise<void> {
  const { raw } = reply;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const stop = watch(({ event, data }) => {
    if (raw.writableLength < BEHIND_BYTES_MAX) raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  });
  void reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no" });
  raw.write("retry: 2000\n\n");
  raw.on("close", end);
  closing.addEventListener("abort", end, { once: true });
  while (!ended.signal.aborted) {
    await sleep(HEARTBEAT_MS, ended.signal);
    const known = await request.server.authenticator.principalOf(request).catch(() => null);
    if (known === null) break;
    if (!ended.signal.aborted) raw.write(": still here\n\n");
  }
  closing.removeEventListener("abort", end);
  stop();
  raw.end();
}
