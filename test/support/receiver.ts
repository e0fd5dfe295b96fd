import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One request as it came. */
export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A webhook receiver of a test, on a free port of the loopback. */
export interface Receiver {
  url: string;
  /** Everything that came, oldest first. */
  received: Received[];
  /** Resolves once `n` requests in all have come. */
  until(n: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a receiver; `answer` is called once the whole of a request has come, with how many came before it. */
export async function startReceiver(answer: (response: ServerResponse, before: number, request: Received) => void): Promise<Receiver> {
  const received: Received[] = [];
  const waiting: { n: number; wake: () => void }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString("utf8") };
      received.push(one);
      for (const { n, wake } of waiting) if (received.length >= n) wake();
      answer(response, received.length - 1, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    until: (n) => new Promise((wake) => (received.length >= n ? wake() : void waiting.push({ n, wake }))),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
