import { CommandFailure, failureOf, ownProblem, usageError, type ProblemDocument } from "./failure.ts";
import type { Connection } from "./connection.ts";

/** How long one call may take, from the first byte sent to the last one read. */
const CALL_TIMEOUT_MS = 30_000;

/** The largest answer that is read: a full page of decisions is about 1 MB, a stored value 2 MiB twice encoded. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface CallOptions {
  body?: unknown;
  query?: Readonly<Record<string, string | number | undefined>>;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Do not send the `Weir-Account` header: an operator's route, about no account. */
  withoutAccount?: boolean;
}

/** The status and JSON of an answer, whatever it says. `body` is null where there was none. */
export interface Answer {
  status: number;
  body: unknown;
}

/** The API over HTTP. Paths come from `path`, so that names are always escaped. */
export class Api {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The JSON of a 2xx answer. Throws `CommandFailure` for anything else. */
  async call<T = unknown>(method: Method, path: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.exchange(method, path, options);
    if (answer.status >= 200 && answer.status < 300) return answer.body as T;
    throw this.#failure(answer);
  }

  /** One exchange, errors of the API included. Throws `CommandFailure` (code `unavailable`) when there was no answer. */
  async exchange(method: Method, path: string, options: CallOptions = {}): Promise<Answer> {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? CALL_TIMEOUT_MS);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    try {
      const response = await fetch(this.#address(path, options.query), {
        method,
        headers: this.#headers(options),
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        signal,
        redirect: "error",
      });
      return { status: response.status, body: parse(await readBounded(response), response.status) };
    } catch (error) {
      if (error instanceof CommandFailure) throw error;
      throw this.#noAnswer(error, timeout.aborted);
    }
  }

  #address(path: string, query: CallOptions["query"]): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, String(value));
    const text = search.toString();
    return `${this.connection.url}${path}${text ? `?${text}` : ""}`;
  }

  #headers(options: CallOptions): Record<string, string> {
    const { key, account } = this.connection;
    return {
      accept: "application/json",
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...(account && !options.withoutAccount ? { "weir-account": account } : {}),
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
    };
  }

  #failure(answer: Answer): CommandFailure {
    const problem = asProblem(answer);
    const withheld = this.connection.keyWithheldFor;
    if (problem.code === "unauthorized" && withheld) {
      return new CommandFailure(`No key for ${this.connection.url}.`, {
        problem,
        remedy: `The key in ${this.connection.credentialsFile} is for ${withheld}. Pass --key <key> or set WEIR_KEY.`,
      });
    }
    return failureOf(problem);
  }

  #noAnswer(cause: unknown, timedOut: boolean): CommandFailure {
    const { url } = this.connection;
    if (timedOut) {
      const message = `${url} did not answer in time.`;
      const remedy = "What was asked may still have happened: look with `weir usage`, and ask `weir doctor`.";
      return new CommandFailure(message, { problem: ownProblem("unavailable", message), remedy, cause });
    }
    const message = `The API at ${url} cannot be reached (${reasonOf(cause)}).`;
    const remedy = "Start it with `npm start`, or name another with --url or WEIR_URL.";
    return new CommandFailure(message, { problem: ownProblem("unavailable", message), remedy, cause });
  }
}

/** A path with every inserted part escaped: names may hold any character but controls. */
export function path(strings: TemplateStringsArray, ...parts: readonly string[]): string {
  return strings.reduce((out, text, i) => out + text + (i < parts.length ? segment(parts[i] ?? "") : ""), "");
}

/** One escaped path segment. `.` and `..` are folded away by every URL parser, `%2e` too, so they cannot be sent. */
function segment(name: string): string {
  if (name === "." || name === ".." || name === "") throw usageError(`"${name}" cannot be part of an address.`, "Use another name.");
  return encodeURIComponent(name);
}

function parse(text: string, status: number): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const message = `The answer (status ${status}) is not JSON: is this address Weir's?`;
    throw new CommandFailure(message, { problem: ownProblem("internal_error", message), remedy: "Check --url and WEIR_URL." });
  }
}

async function readBounded(response: Response): Promise<string> {
  const announced = response.headers.get("content-length");
  if (announced !== null && Number(announced) <= ANSWER_BYTES_MAX) return response.text();
  if (!response.body) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) throw new CommandFailure(`The answer is larger than ${ANSWER_BYTES_MAX} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The answer's problem document; one is made up where a proxy answered in Weir's place. */
export function asProblem(answer: Answer): ProblemDocument {
  const { body, status } = answer;
  if (typeof body === "object" && body !== null && "code" in body && "message" in body) return body as ProblemDocument;
  return { ...ownProblem("internal_error", `The API answered with status ${status} and no explanation.`), status };
}

/** `fetch failed` says nothing; its cause names the socket's error. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error) return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
  return String(cause);
}
