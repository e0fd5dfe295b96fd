import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

/** How a proxy treats bytes: pass them on, drop every reply (requests still arrive), or hold everything back. */
export type ProxyMode = "pass" | "drop-replies" | "stall";

interface Pair {
  client: Socket;
  server: Socket;
}

/**
 * A TCP proxy that can lose replies, stall, cut connections and be pointed at another server. A connection never outlives its
 * server: whoever is behind the proxy must be able to tell that another one answers.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #target: number;
  #mode: ProxyMode = "pass";

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  /** Listens on a free port of 127.0.0.1 for a server on `target`. */
  static async listen(target: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(server, target);
    server.on("connection", (client) => proxy.#accept(client));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get target(): number {
    return this.#target;
  }

  /** Sends new connections to another port; those that are open stay where they are until `cut`. */
  pointAt(target: number): void {
    this.#target = target;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
    for (const { client, server } of this.#pairs) {
      if (mode === "stall") {
        client.pause();
        server.pause();
      } else {
        client.resume();
        server.resume();
      }
    }
  }

  /** Resets every open connection. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    const server = connect({ host: "127.0.0.1", port: this.#target, noDelay: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    client.on("data", (bytes) => void server.write(bytes));
    server.on("data", (bytes) => {
      if (this.#mode !== "drop-replies") client.write(bytes);
    });
    if (this.#mode === "stall") client.pause();
    const end = (): void => {
      client.destroy();
      server.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  }
}
