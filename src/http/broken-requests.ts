import type { Socket } from "node:net";
import type { FastifyServerOptions } from "fastify";
import { toProblem, WeirError } from "../kernel/errors.ts";
import { PROBLEM_TYPE, sendProblem } from "./problems.ts";

/**
 * Requests that never become one: what is no HTTP, headers without end, a client that stops in the middle, a path that cannot be read.
 * They too are answered with a problem document, and their connection is closed.
 */
export const brokenRequests: Pick<FastifyServerOptions, "clientErrorHandler" | "frameworkErrors"> = {
  clientErrorHandler: (error, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable || isAnswering(socket)) return socket.destroy();
    const problem = toProblem(problemOf(error.code), "");
    const body = JSON.stringify(problem);
    const head = [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Connection: close",
    ];
    // Half-closing would wait for a client that may never leave.
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
  },
  frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
};

/** Node's own note of the answer a socket waits for. A refusal written before it would be taken for it, and what was counted for refused. */
const isAnswering = (socket: Socket): boolean => "_httpMessage" in socket && socket._httpMessage !== null;

function problemOf(code: string | undefined): WeirError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new WeirError("payload_too_large", "The headers are larger than this server takes: 16 KiB in all.");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new WeirError("bad_request", "The request did not arrive in time.");
    default:
      return new WeirError("bad_request", "This is not an HTTP request.");
  }
}
