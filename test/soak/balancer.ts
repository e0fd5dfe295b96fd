import { Agent, request } from "node:http";
import type { Socket } from "node:net";

/** Nobody waits longer for an answer: a request without one by then has failed. */
const REQUEST_TIME_LIMIT_MS = 15_000;

export interface Answer {
  status: number;
  text: string;
  retryAfterSeconds: number;
}

/** One process, and the connections to it that are kept. */
interface Place {
  port: number;
  agent: Agent;
}

interface Ask {
  method: string;
  path: string;
  key: string;
  account?: string | undefined;
  body?: string | undefined;
}

/**
 * The way of every caller to the processes that serve, as a load balancer goes it: each request to the next in turn, on connections that are
 * kept. A process that says `Connection: close` or refuses a connection is left for the others. A request that nobody can have got is sent to
 * the next; one that broke after it was sent is not, since it may have been carried out: it is counted, and its caller told.
 */
export class Balancer {
  readonly #places: Place[] = [];
  #turn = 0;
  /** Requests whose connection ended before their answer, or that had none in time: what failed, most recent last. */
  readonly broken: string[] = [];
  /** Connections that were refused, and requests sent elsewhere for it. */
  refused = 0;
  /** Processes that told their callers to go. */
  left = 0;

  add(url: string): void {
    this.#places.push({ port: Number(new URL(url).port), agent: new Agent({ keepAlive: true }) });
  }

  close(): void {
    for (const { agent } of this.#places) agent.destroy();
  }

  /** Rejects when the request broke, or when nobody is there. */
  async ask(ask: Ask): Promise<Answer> {
    for (;;) {
      const place = this.#places[this.#turn++ % this.#places.length];
      if (!place) throw new Error("nobody serves");
      try {
        const { leaves, ...answer } = await sent(place, ask);
        if (leaves) this.#leave(place);
        return answer;
      } catch (error) {
        if (!isRefused(error)) {
          this.broken.push(`${ask.method} ${ask.path}: ${String(error)}`);
          throw error;
        }
        this.refused += 1;
        this.#leave(place);
      }
    }
  }

  /** The same for a client that brings its own `fetch`. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    const body = typeof init?.body === "string" ? init.body : undefined;
    const url = new URL(input instanceof Request ? input.url : input);
    const key = (headers.get("authorization") ?? "").replace("Bearer ", "");
    const { status, text, retryAfterSeconds } = await this.ask({ method: init?.method ?? "GET", path: url.pathname, key, body });
    return new Response(text, { status, headers: { "retry-after": String(retryAfterSeconds) } });
  };

  // What is under way there is answered; what is kept for later is let go, before the process closes it.
  #leave(place: Place): void {
    const at = this.#places.indexOf(place);
    if (at < 0) return;
    this.#places.splice(at, 1);
    this.left += 1;
    for (const socket of Object.values<readonly Socket[] | undefined>(place.agent.freeSockets).flatMap((free) => free ?? []))
      socket.destroy();
  }
}

const isRefused = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ECONNREFUSED";

function sent({ port, agent }: Place, { method, path, key, account, body }: Ask): Promise<Answer & { leaves: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(account === undefined ? {} : { "weir-account": account }),
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    };
    const call = request({ host: "127.0.0.1", port, method, path, agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        clearTimeout(late);
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
          retryAfterSeconds: Number(response.headers["retry-after"] ?? 0),
          leaves: response.headers.connection === "close",
        });
      });
    });
    const late = setTimeout(() => call.destroy(new Error(`no answer within ${REQUEST_TIME_LIMIT_MS / 1000} s`)), REQUEST_TIME_LIMIT_MS);
    call.on("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
    call.end(body);
  });
}
