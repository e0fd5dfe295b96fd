import type { IncomingMessage } from "node:http";

/**
 * Whether a request is to become a WebSocket: only where there is one. Many clients offer h2c with every request, and a connection that was
 * upgraded on any other route would be answered once and then never again.
 */
export const offersSocket = ({ headers, url }: Pick<IncomingMessage, "headers" | "url">): boolean =>
  headers.upgrade?.toLowerCase() === "websocket" && /\/socket(?:\?|$)/.test(url ?? "");
