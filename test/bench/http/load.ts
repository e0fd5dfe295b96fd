/** So many callers of an HTTP route, each on a connection of its own, from a process of its own: what they cost is not the server's. */
import { connect, type Socket } from "node:net";
import { closedLoop } from "../closed-loop.ts";

/** What a benchmark asks of this process. */
export interface Load {
  port: number;
  path: string;
  headers: Record<string, string>;
  /** Sent in turn; wherever one says `NUMBERED`, the number of the call is put. */
  bodies: string[];
  callers: number;
  ms: number;
}

/** Stands for the number of the call, in so many digits. */
export const NUMBERED = "@@@@@@@@@@";

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
    if (/^HTTP\/1\.1 20[02]/.test(head)) settle?.resolve();
    else settle?.reject(new Error(text.toString("utf8", 0, Math.min(text.length, 1_000))));
  }
}

interface Template {
  bytes: Buffer;
  /** Where the number of the call stands. */
  numbers: number[];
}

function template(text: string): Template {
  const bytes = Buffer.from(text);
  const numbers: number[] = [];
  for (let at = bytes.indexOf(NUMBERED); at >= 0; at = bytes.indexOf(NUMBERED, at + NUMBERED.length)) numbers.push(at);
  return { bytes, numbers };
}

function numbered({ bytes, numbers }: Template, n: number): Buffer {
  if (numbers.length === 0) return bytes;
  const text = String(n).padStart(NUMBERED.length, "0");
  const copy = Buffer.from(bytes);
  for (const at of numbers) copy.write(text, at, "latin1");
  return copy;
}

async function carry({ port, path, headers, bodies, callers, ms }: Load) {
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const requests = bodies.map((body) =>
    template(`POST ${path} HTTP/1.1\r\n${lines.join("")}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`),
  );
  const idle = Array.from({ length: callers }, () => new Caller(port));
  const all = [...idle];
  try {
    return await closedLoop(callers, ms, async (n) => {
      const caller = idle.pop();
      const request = requests[n % requests.length];
      if (!caller || !request) throw new Error("more calls than callers");
      await caller.call(numbered(request, n));
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
