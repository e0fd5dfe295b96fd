/** So many callers of an HTTP route, each on a connection of its own, from a process of its own: what they cost is not the server's. */
import { connect, type Socket } from "node:net";
import { closedLoop } from "../closed-loop.ts";

/** What a benchmark asks of this process. */
export interface Load {
  port: number;
  path: string;
  headers: Record<string, string>;
  /** Sent in turn. */
  bodies: string[];
  callers: number;
  ms: number;
}

const HEAD_END = "\r\n\r\n";

/** One kept connection. Sends whole requests and reads whole answers; a client of more comfort would cost more than the server. */
class Caller {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#settle?.reject(error));
    this.#socket.on("close", () => this.#settle?.reject(new Error("the server closed the connection")));
  }

  call(request: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#settle = null;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk);
    const text = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const end = text.indexOf(HEAD_END);
    if (end < 0) return;
    const head = text.toString("latin1", 0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? "0");
    if (text.length < end + HEAD_END.length + length) {
      this.#chunks = [text];
      return;
    }
    this.#chunks = [];
    const settle = this.#settle;
    if (head.startsWith("HTTP/1.1 200")) settle?.resolve();
    else settle?.reject(new Error(text.toString("utf8", 0, Math.min(text.length, 1_000))));
  }
}

async function carry({ port, path, headers, bodies, callers, ms }: Load) {
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const requests = bodies.map((body) =>
    Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`),
  );
  const idle = Array.from({ length: callers }, () => new Caller(port));
  const all = [...idle];
  try {
    return await closedLoop(callers, ms, async (n) => {
      const caller = idle.pop();
      const request = requests[n % requests.length];
      if (!caller || !request) throw new Error("more calls than callers");
      await caller.call(request);
      idle.push(caller);
    });
  } finally {
    for (const caller of all) caller.close();
  }
}

process.on("message", (load: Load) => {
  void carry(load).then(
    (sample) => process.send?.({ sample }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
