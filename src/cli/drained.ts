import type { Server as HttpServer, ServerResponse } from "node:http";
import { Server } from "node:net";
import { monotonicMs, sleep } from "../kernel/clock.ts";

/** How long clients have to come to the end of their connections: one that is in use is answered, and closed with the answer. */
export const DRAIN_MS = 2_000;
const LOOK_MS = 25;
/** Without a new connection for so long, nobody is thought to open one. */
const QUIET_MS = 100;

/**
 * Ends each connection with the answer to its next request, so that no client finds one closed on which it was about to ask, and takes no new one
 * once none has come for a while, or in half the time. Resolves when none is left, or after `ms`: what is idle by then is closed by whoever closes
 * the server.
 */
export async function drained(server: HttpServer, ms: number): Promise<void> {
  server.prependListener("request", (_request: unknown, response: ServerResponse) => void response.setHeader("connection", "close"));
  const until = monotonicMs() + ms;
  // What the kernel has taken and nobody has yet seen here would be reset with its listener.
  let arriving = true;
  server.on("connection", () => (arriving = true));
  while (arriving && monotonicMs() < until - ms / 2) {
    arriving = false;
    await sleep(QUIET_MS);
  }
  // Not its own close(): that ends idle connections at once, and with them requests that are on their way.
  Server.prototype.close.call(server);
  while ((await connections(server)) > 0 && monotonicMs() < until) await sleep(LOOK_MS);
}

const connections = (server: HttpServer): Promise<number> =>
  new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));
