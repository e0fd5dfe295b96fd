import { once } from "node:events";
import { WebSocket } from "ws";
import { ADMIN_KEY, type TestApp } from "../../support/app.ts";

/** A WebSocket of a test. */
export interface TestSocket {
  /** What came, oldest first. */
  received: string[];
  /** How it was closed; null while it is open. */
  closed: { code: number; reason: string } | null;
  send(data: string | Uint8Array): void;
  /** Sends so many messages and waits until each has come back, or the socket is closed; answers how many did. */
  exchange(count: number): Promise<number>;
  /** Resolves when `n` messages in all have come, or the socket is closed. */
  until(n: number): Promise<void>;
  untilClosed(): Promise<{ code: number; reason: string }>;
  close(): Promise<void>;
}

export interface SocketOptions {
  headers?: Record<string, string>;
  protocols?: string[];
}

/** Opens a socket as the operator, for `account`; resolves when it was let into its room, or refused with a close code. */
export async function openSocket(t: TestApp, account: string, path: string, options: SocketOptions = {}): Promise<TestSocket> {
  if (!t.app.server.listening) await t.app.listen({ host: "127.0.0.1", port: 0 });
  const address = t.app.server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const headers = options.headers ?? { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account };
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options.protocols ?? [], { headers });
  const test = watch(socket);
  await once(socket, "open");
  // The server answers pings once the socket is let in: until then it does not read.
  const pong = once(socket, "pong");
  socket.ping();
  await Promise.race([pong, test.untilClosed()]);
  return test;
}

function watch(socket: WebSocket): TestSocket {
  const received: string[] = [];
  const closing = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const wakes = new Set<() => void>();
  const wake = (): void => wakes.forEach((one) => one());
  const test: TestSocket = {
    received,
    closed: null,
    send: (data) => socket.send(data),
    exchange: async (count) => {
      const before = received.length;
      for (let n = 0; n < count; n += 1) socket.send(`message ${before + n}`);
      await test.until(before + count);
      return received.length - before;
    },
    until: (n) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (received.length < n && !test.closed) return;
          wakes.delete(look);
          resolve();
        };
        wakes.add(look);
        look();
      }),
    untilClosed: async () => {
      await closing;
      return test.closed ?? { code: 0, reason: "" };
    },
    close: async () => {
      socket.close();
      await closing;
    },
  };
  socket.on("error", () => undefined);
  socket.on("message", (data) => {
    received.push(Buffer.isBuffer(data) ? data.toString() : "");
    wake();
  });
  socket.on("close", (code, reason) => {
    test.closed = { code, reason: reason.toString() };
    wake();
  });
  return test;
}
