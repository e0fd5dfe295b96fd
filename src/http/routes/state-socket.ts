import { once } from "node:events";
import websocket from "@fastify/websocket";
import type { FastifyRequest } from "fastify";
import type { RawData, WebSocket } from "ws";
import { z } from "zod";
import { WeirError } from "../../kernel/errors.ts";
import { within } from "../../kernel/time-limit.ts";
import type { Address, Membership, Socket, State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { objectParams } from "./state-schemas.ts";

const SOCKET = "/v1/services/:service/state/namespaces/:namespace/objects/:object/socket";
/** The largest message of any plan, bytes; a plan may allow less. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;
/** How long a client may take to answer that the server closes. */
const CLOSE_TIMEOUT_MS = 1_000;
/** What a browser names beside its key, since it cannot send headers: it is the one that is agreed on. */
const PROTOCOL = "weir";
const KEY_PROTOCOL = /^weir\.key\.(.+)$/;

const CLOSE_DENIED = 1008;
const CLOSE_FAILED = 1011;
const CLOSE_TRY_LATER = 1013;

/** WebSockets to objects: whoever opens one joins the object's room. */
export async function socketRoutes(app: App, { state }: { state: State }): Promise<void> {
  await app.register(websocket, {
    options: {
      maxPayload: MESSAGE_BYTES_MAX,
      // A deflated message may be a thousand times what it takes on the wire.
      perMessageDeflate: false,
      handleProtocols: (protocols) => (protocols.has(PROTOCOL) ? PROTOCOL : false),
    },
    preClose: () => closeSockets(app, state),
    // ws has said the close code already (1009 for a message too large) and ends the connection by itself.
    errorHandler: (error, _, request) => request.log.debug({ err: error }, "socket"),
  });
  const allowed = allow("admin", "data_plane", "account");
  app.route({
    method: "GET",
    url: SOCKET,
    config: allowed.config,
    onRequest: [credentialsOfBrowser, allowed.onRequest],
    schema: {
      tags: ["state"],
      summary: "Open a WebSocket to an object",
      description:
        "Every message is sent to all sockets of the object, in one order, once it is counted: 20 are one request. A browser names its key " +
        "as a subprotocol: `weir` and `weir.key.<key>`. A denial closes with 1008 and its code as the reason, a message too large with 1009.",
      params: objectParams,
      querystring: z.strictObject({ account: z.string().max(64).optional().describe("For an operator's key in a browser.") }),
      response: { 101: z.null().describe("The connection is a WebSocket now.") },
    },
    preHandler: async (request) => {
      request.address = await state.address({ account: accountOf(request), ...request.params });
    },
    handler: () => {
      throw new WeirError("bad_request", "Open this with a WebSocket (Connection: Upgrade, Upgrade: websocket).");
    },
    wsHandler: (socket, request) => admit(app, state, socket, request),
  });
}

/** Tells every socket, then ends those that do not answer: the server waits for open connections. */
async function closeSockets(app: App, state: State): Promise<void> {
  await state.closeRooms();
  app.websocketServer.close();
  const { clients } = app.websocketServer;
  const answered = [...clients].map((client) => once(client, "close").catch(() => undefined));
  await within(Promise.all(answered), CLOSE_TIMEOUT_MS, null);
  for (const client of clients) client.terminate();
}

declare module "fastify" {
  interface FastifyRequest {
    /** The object that a socket is opened to. */
    address: Address | null;
  }
}

/** A browser can send no headers with a WebSocket: its key comes as a subprotocol, the account in the query. */
async function credentialsOfBrowser(request: FastifyRequest): Promise<void> {
  const { headers, query } = request;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim());
  const key = offered.map((protocol) => KEY_PROTOCOL.exec(protocol)?.[1]).find((found) => found !== undefined);
  if (key !== undefined) headers.authorization ??= `Bearer ${key}`;
  const { account } = query as { account?: unknown };
  if (typeof account === "string") headers["weir-account"] ??= account;
}

/** Joins the room; what comes before the answer waits. */
async function admit(app: App, state: State, socket: WebSocket, request: FastifyRequest): Promise<void> {
  const wire = new Wire(app, socket, request);
  const early: [RawData, boolean][] = [];
  let member: Membership | null = null;
  socket.on("message", (data: RawData, binary: boolean) => {
    wire.messageEnded();
    if (member) member.take(bytesOf(data), binary);
    else early.push([data, binary]);
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.pause();
  try {
    if (!request.address) throw new WeirError("internal_error", "The object was not looked up.");
    member = await state.join(request.address, wire);
  } catch (error) {
    const code = error instanceof WeirError ? error.code : "internal_error";
    if (!(error instanceof WeirError)) request.log.error({ err: error }, code);
    wire.close(CLOSE_CODES[code] ?? CLOSE_DENIED, code);
    return;
  }
  const joined = member;
  void closed.then(() => joined.leave());
  for (const [data, binary] of early) joined.take(bytesOf(data), binary);
  socket.resume();
}

const CLOSE_CODES: Readonly<Record<string, number>> = { unavailable: CLOSE_TRY_LATER, internal_error: CLOSE_FAILED };

const bytesOf = (data: RawData): Uint8Array =>
  Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : data;

/** A WebSocket as a room sees it. */
class Wire implements Socket {
  readonly #app: App;
  readonly #socket: WebSocket;
  readonly #request: FastifyRequest;
  #alive = true;
  #wholeUntil: number;

  constructor(app: App, socket: WebSocket, request: FastifyRequest) {
    this.#app = app;
    this.#socket = socket;
    this.#request = request;
    this.#wholeUntil = request.raw.socket.bytesRead;
    socket.on("pong", () => (this.#alive = true));
  }

  get pendingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  get unfinishedBytes(): number {
    return this.#request.raw.socket.bytesRead - this.#wholeUntil;
  }

  messageEnded(): void {
    this.#wholeUntil = this.#request.raw.socket.bytesRead;
    this.#alive = true;
  }

  send(data: Uint8Array, binary: boolean): void {
    // An error ends the connection, and "close" tells the room.
    this.#socket.send(data, { binary }, () => undefined);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** A connection that gave no sign of life since the last beat, or whose key was revoked, ends. */
  beat(): void {
    if (!this.#alive) return this.#socket.terminate();
    this.#alive = false;
    this.#socket.ping(() => undefined);
    this.#app.authenticator.principalOf(this.#request).catch((error: unknown) => {
      if (error instanceof WeirError && error.code === "unauthorized") this.close(CLOSE_DENIED, error.code);
    });
  }

  close(code: number, reason: string): void {
    // A paused socket would not read the other side's answer, and wait half a minute for it.
    this.#socket.resume();
    this.#socket.close(code, reason);
  }
}
