import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { toProblem, WeirError } from "../kernel/errors.ts";
import { PROBLEM_TYPE } from "./problems.ts";
import { endsWithAnswer, offersSocket } from "./upgrades.ts";

/** A certificate with those that lead to its root, and its key; PEM. */
export interface Certificate {
  cert: string | Buffer;
  key: string | Buffer;
}

/** From the first byte of a request to its last; a client that dribbles is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Counted from when a connection is made: thousands that come at once wait for one another, and are no attack. */
const HEADERS_TIMEOUT_MS = 20_000;
const CONNECTION_CHECK_MS = 1_000;
/** Idle connections are kept this long: longer than common load balancers keep theirs. */
const KEEP_ALIVE_MS = 72_000;
const CONNECTIONS_MAX = 10_000;
/**
 * Requests of one connection that wait for their answers. Node reads on while they are made, 64 kB of requests at a time, and keeps what
 * nobody reads: without a bound some hundred megabytes for one packet.
 */
const PIPELINED_MAX = 64;
/** What came before is broken in known ways. */
const TLS_MIN = "TLSv1.2";

/** The server of the API, bounded in every wait; over TLS where it has a certificate. It does not listen yet. */
export function createListener(answer: RequestListener, certificate: Certificate | null): Server {
  const options: ServerOptions = {
    // Fastify's requestTimeout alone left a slow body open for 45 s; with Node's own limits it is closed in time.
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CONNECTION_CHECK_MS,
    shouldUpgradeCallback: offersSocket,
  };
  const bounded = boundPipelines(answer);
  const server =
    certificate === null
      ? createServer(options, bounded)
      : createTlsServer({ ...options, ...certificate, minVersion: TLS_MIN, handshakeTimeout: HEADERS_TIMEOUT_MS }, bounded);
  server.on("checkExpectation", refuseExpectation);
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** Hands on what a connection may have under way; the rest is refused, in its turn. */
function boundPipelines(answer: RequestListener): RequestListener {
  const underWay = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    const before = underWay.get(socket) ?? 0;
    underWay.set(socket, before + 1);
    response.once("close", () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
    if (endsWithAnswer(request)) response.setHeader("connection", "close");
    if (before < PIPELINED_MAX) return answer(request, response);
    const sentence = `More than ${PIPELINED_MAX} requests of this connection wait for an answer.`;
    refuse(request, response, new WeirError("rate_limited", sentence, { retryAfterSeconds: 1 }));
  };
}

/** What a client expects beyond "100-continue" is nothing that anybody here could promise. */
const refuseExpectation: RequestListener = (request, response) =>
  refuse(request, response, new WeirError("bad_request", "Of expectations only 100-continue is known here."));

/** Answers before the API has seen the request; its body is read and forgotten. */
function refuse(request: IncomingMessage, response: ServerResponse, error: WeirError): void {
  request.resume();
  const problem = toProblem(error, (request.url ?? "").split("?", 1)[0] ?? "");
  const wait = error.retryAfterSeconds === null ? {} : { "retry-after": String(error.retryAfterSeconds) };
  response.writeHead(problem.status, { "content-type": PROBLEM_TYPE, ...wait }).end(JSON.stringify(problem));
}
