import { Agent, request as send, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { toProblem, unavailable } from "../kernel/errors.ts";
import type { App } from "./app.ts";
import { PROBLEM_TYPE } from "./problems.ts";

/** State and what is about its objects, which one process alone holds; and the documents that name all routes. */
const RELAYED = /^\/(?:v1\/(?:services|recount)|openapi\.json|docs)(?:[/?]|$)/;
const HOST = "127.0.0.1";
/** What concerns one connection only. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "upgrade", "te", "trailer"];
/** Connections to the process that holds State; beyond them requests wait for one. */
const CONNECTIONS_MAX = 256;

/** Hands on what this process does not serve itself to the one that listens on `port`, whole requests and sockets alike. Once ready. */
export function relayState(app: App, port: number): void {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });
  const [serve] = app.server.listeners("request") as RequestListener[];
  app.server.removeAllListeners("request");
  app.server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    if (RELAYED.test(request.url ?? "")) relay(request, response, { port, agent });
    else serve?.(request, response);
  });
  app.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => relaySocket(request, socket, head, port));
  app.server.on("close", () => agent.destroy());
}

function relay(request: IncomingMessage, response: ServerResponse, to: { port: number; agent: Agent }): void {
  const passed = send({ host: HOST, ...to, method: request.method, path: request.url, headers: headersOf(request) });
  passed.on("response", (answer) => {
    const headers = { ...answer.headers };
    for (const name of HOP_BY_HOP) delete headers[name];
    response.writeHead(answer.statusCode ?? 502, headers);
    answer.on("error", () => response.destroy()).pipe(response);
  });
  passed.on("error", () => {
    if (response.headersSent || response.destroyed) return void response.destroy();
    const problem = toProblem(unavailable("State"), (request.url ?? "").split("?", 1)[0] ?? "");
    response.writeHead(503, { "content-type": PROBLEM_TYPE, "retry-after": "1" }).end(JSON.stringify(problem));
  });
  response.on("close", () => passed.destroy());
  request.pipe(passed);
}

function headersOf(request: IncomingMessage): NodeJS.Dict<string | string[]> {
  const headers: NodeJS.Dict<string | string[]> = { ...request.headers, "x-forwarded-for": forwardedFor(request) };
  for (const name of HOP_BY_HOP) delete headers[name];
  return headers;
}

function forwardedFor({ headers, socket }: IncomingMessage): string {
  const before = headers["x-forwarded-for"];
  return [before, socket.remoteAddress].flat().filter(Boolean).join(", ");
}

/** A room's socket: the request as it came, then bytes both ways. */
function relaySocket(request: IncomingMessage, socket: Socket, head: Buffer, port: number): void {
  const other = connect(port, HOST, () => {
    const headers: string[] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      if (request.rawHeaders[i]?.toLowerCase() !== "x-forwarded-for")
        headers.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}\r\n`);
    }
    other.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join("")}x-forwarded-for: ${forwardedFor(request)}\r\n\r\n`);
    other.write(head);
    other.pipe(socket).pipe(other);
  });
  const end = (): void => {
    other.destroy();
    socket.destroy();
  };
  for (const one of [other, socket]) one.on("error", end).on("close", end);
}
