import { connect, type Socket } from "node:net";
import { monotonicMs } from "../../src/kernel/clock.ts";

/** One answer as it came over the wire. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** How long an answer is waited for: beyond it the server hangs. */
const WAIT_MAX_MS = 10_000;

/** A connection that says whatever a test likes, HTTP or not. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ host: hostname, port: Number(port) });
    this.socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
    // A server that refuses while we still send resets the connection: what it said before is what counts.
    this.socket.on("error", () => {});
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /**
   * The next answer, or null when the server has closed without one. `headOnly` where no body follows the head, or one that never ends.
   * Rejects when nothing comes within `waitMs`.
   */
  async answer({ headOnly = false, waitMs = WAIT_MAX_MS }: { headOnly?: boolean; waitMs?: number } = {}): Promise<RawAnswer | null> {
    const deadline = monotonicMs() + waitMs;
    for (;;) {
      const found = this.#take(headOnly);
      if (found) return found;
      if (this.#closed) return null;
      await this.#more(deadline - monotonicMs());
    }
  }

  /** Resolves when the server has closed the connection. */
  async closed(waitMs = WAIT_MAX_MS): Promise<void> {
    const deadline = monotonicMs() + waitMs;
    while (!this.#closed) await this.#more(deadline - monotonicMs());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes that came and belong to no answer taken so far. */
  get unread(): number {
    return this.#received.length;
  }

  end(): void {
    this.socket.destroy();
  }

  #more(waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("No answer in time.")), waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(headOnly: boolean): RawAnswer | null {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return null;
    const [first = "", ...lines] = this.#received.subarray(0, end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const status = Number(first.split(" ")[1]);
    const rest = this.#received.subarray(end + 4);
    // "Go on sending", said before the answer itself.
    if (status === 100) {
      this.#received = rest;
      return this.#take(headOnly);
    }
    const body = headOnly ? { text: "", length: 0 } : bodyOf(headers, rest);
    if (!body) return null;
    this.#received = rest.subarray(body.length);
    return { status, headers, body: body.text };
  }
}

/** What follows a head, as far as it is complete, and how many bytes it took on the wire; null while there is more to come. */
function bodyOf(headers: Readonly<Record<string, string>>, rest: Buffer): { text: string; length: number } | null {
  if (headers["transfer-encoding"] === "chunked") return chunksOf(rest);
  const length = Number(headers["content-length"] ?? 0);
  return rest.length < length ? null : { text: rest.subarray(0, length).toString(), length };
}

function chunksOf(rest: Buffer): { text: string; length: number } | null {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString("latin1"), 16);
    const next = lineEnd + 2 + size + 2;
    if (rest.length < next) return null;
    if (size === 0) return { text: Buffer.concat(chunks).toString(), length: next };
    chunks.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
