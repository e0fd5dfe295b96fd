import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { FastifyRequest, RouteOptions } from "fastify";
import type { App } from "./app.ts";
import { brokenRequests } from "./broken-requests.ts";
import { createListener, type Certificate } from "./listener.ts";
import { noSuchRoute } from "./problems.ts";

/**
 * A listener of its own for the operator: what only a key of scope `admin` may call is answered there, and does not exist anywhere else.
 * Everything that others may call too is answered on both.
 */
export class OperatorListener {
  readonly #server: Server;

  /** Make it before the routes are registered. It answers with `app`'s, once it listens. */
  constructor(app: App, certificate: Certificate | null) {
    const answer: RequestListener = (request, response) => app.routing(request, response);
    this.#server = createListener(answer, certificate);
    // A WebSocket is opened where tenants are; here it is a request like others.
    this.#server.on("upgrade", (_request, socket) => void socket.destroy());
    const broken = brokenRequests.clientErrorHandler;
    if (broken) this.#server.on("clientError", broken.bind(app));
    app.addHook("onRoute", (route) => this.#keepApart(route));
    app.addHook("preClose", async () => this.close());
  }

  /** The server itself, for who takes care of its certificate. */
  get server(): Server {
    return this.#server;
  }

  /** Answers the port; rejects with what keeps it from listening. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** Takes no new connection, and ends those that are idle. */
  close(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  #keepApart(route: RouteOptions): void {
    const access = route.config?.access;
    if (access === undefined || access === "open" || access.some((scope) => scope !== "admin")) return;
    // Before the key is looked at: who is not here is not told that there is something.
    const here = async (request: FastifyRequest): Promise<void> => {
      if (!this.#has(request)) throw noSuchRoute(request);
    };
    route.onRequest = [here, ...[route.onRequest ?? []].flat()];
  }

  #has({ raw }: FastifyRequest): boolean {
    return "server" in raw.socket && raw.socket.server === this.#server;
  }
}
