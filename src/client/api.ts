import type { ClientClock } from "./clock.ts";
import { WeirRefused, WeirUnavailable } from "./errors.ts";

export interface ApiOptions {
  url: string;
  key: string;
  clock: ClientClock;
  fetch: typeof globalThis.fetch;
  timeoutMs: number;
  /** Requests at once; beyond it callers are told that Weir is unavailable. */
  inFlightMax: number;
}

/** One HTTP call to Weir, bounded in time and number. */
export class Api {
  readonly #options: ApiOptions;
  readonly #base: string;
  #inFlight = 0;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, "");
  }

  /**
   * Answers the body of a 2xx. Throws `WeirRefused` for what was understood and refused, `WeirUnavailable` for everything else: then it
   * is unknown whether it was carried out.
   */
  async send<T>(method: "POST" | "DELETE", path: string, body: unknown): Promise<T> {
    const { clock, timeoutMs, inFlightMax, key } = this.#options;
    if (this.#inFlight >= inFlightMax) throw new WeirUnavailable(`${inFlightMax} requests to Weir are under way already.`);
    this.#inFlight += 1;
    const abort = new AbortController();
    const stop = clock.after(timeoutMs, () => abort.abort());
    try {
      const { fetch } = this.#options;
      const response = await fetch(this.#base + path, {
        method,
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: abort.signal,
      });
      const answer: unknown = await response.json();
      if (response.ok) return answer as T;
      throw failure(response, answer);
    } catch (error) {
      if (error instanceof WeirRefused || error instanceof WeirUnavailable) throw error;
      throw new WeirUnavailable(abort.signal.aborted ? `Weir did not answer within ${timeoutMs} ms.` : "Weir cannot be reached.", {
        cause: error,
      });
    } finally {
      stop();
      this.#inFlight -= 1;
    }
  }
}

function failure(response: Response, answer: unknown): Error {
  const problem = typeof answer === "object" && answer !== null ? answer : {};
  // Too many requests is no verdict on this one.
  if (response.status >= 500 || response.status === 429) {
    const wait = Number(response.headers.get("retry-after"));
    const message = "detail" in problem && typeof problem.detail === "string" ? problem.detail : `Weir answered ${response.status}.`;
    return new WeirUnavailable(message, { answered: true, ...(wait > 0 ? { retryAfterSeconds: wait } : {}) });
  }
  return new WeirRefused(response.status, problem);
}
