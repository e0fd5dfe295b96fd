import type { IncomingMessage } from "node:http";

/**
 * Whether a request is to become a WebSocket: only where there is one. Many clients offer h2c with every request, and a connection that was
 * upgraded on any other route would be answered once and then never again.
 */
export const offersSocket = ({ headers, url }: Pick<IncomingMessage, "headers" | "url">): boolean =>
  headers.upgrade?.toLowerCase() === "websocket" && /\/socket(?:\?|$)/.test(url ?? "");

/**
 * Whether a connection must end with the answer: after an offer that was not taken Node's parser keeps silent about what it cannot read next,
 * and the client would wait for 20 s. Not so of h2c, which common clients offer once a connection and go on without.
 */
export const endsWithAnswer = ({ headers }: Pick<IncomingMessage, "headers">): boolean =>
  headers.upgrade !== undefined && headers.upgrade.toLowerCase() !== "h2c" && /\bupgrade\b/i.test(headers.connection ?? "");
