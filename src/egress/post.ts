import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { LookupFunction } from "node:net";
import { monotonicMs } from "../kernel/clock.ts";
import { isPublicAddress } from "./address.ts";
import { parseEndpoint, RefusedDestination, vettedAddresses, type Address, type Egress } from "./egress.ts";

/** From the first look at the name to the last byte of the answer: real time, since it bounds a socket. */
export const POST_TIMEOUT_MS = 10_000;
/** Of an answer this much is read … */
const ANSWER_BYTES_MAX = 64 * 1024;
/** … and this much kept. */
const ANSWER_BYTES_KEPT = 1_024;
const HEADER_BYTES_MAX = 16 * 1024;

const POST_ERRORS = [
  "bad_status",
  "redirect",
  "timeout",
  "address_refused",
  "dns_failed",
  "tls_failed",
  "connection_failed",
  "connection_reset",
  "invalid_answer",
] as const;
export type PostError = (typeof POST_ERRORS)[number];

/** How a POST ended. A 2xx has no error; a status that came counts, even when the body after it did not. */
export interface PostAnswer {
  statusCode: number | null;
  error: PostError | null;
  /** The beginning of the body, as text. */
  answer: string | null;
  retryAfter: string | null;
  latencyMs: number;
}

export interface PostRequest {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer;
}

/** Posts to an endpoint, at vetted addresses only, following nothing. Never rejects; `cut` ends it early, as a timeout. */
export async function post(request: PostRequest, egress: Egress, timeoutMs = POST_TIMEOUT_MS, cut?: AbortSignal): Promise<PostAnswer> {
  const from = monotonicMs();
  const late = AbortSignal.timeout(timeoutMs);
  const signal = cut ? AbortSignal.any([late, cut]) : late;
  const ended = (answer: Omit<PostAnswer, "latencyMs">): PostAnswer => ({ ...answer, latencyMs: Math.round(monotonicMs() - from) });
  const failed = (error: PostError): PostAnswer => ended({ statusCode: null, error, answer: null, retryAfter: null });
  let addresses: Address[];
  let url: URL;
  try {
    url = parseEndpoint(request.url, egress);
    addresses = await orAborted(vettedAddresses(url, egress), signal);
  } catch (error) {
    if (error instanceof RefusedDestination) return failed("address_refused");
    return failed(signal.aborted ? "timeout" : "dns_failed");
  }
  if (addresses.length === 0) return failed("dns_failed");
  try {
    const { response, answer } = await exchange(url, request, addresses, egress, signal);
    const statusCode = response.statusCode ?? 0;
    return ended({ statusCode, error: statusError(statusCode), answer, retryAfter: response.headers["retry-after"] ?? null });
  } catch (error) {
    return failed(signal.aborted ? "timeout" : errorClass(error));
  }
}

function exchange(
  url: URL,
  { headers, body }: PostRequest,
  addresses: readonly Address[],
  { allowPrivate }: Egress,
  signal: AbortSignal,
): Promise<{ response: IncomingMessage; answer: string }> {
  const options: RequestOptions = {
    method: "POST",
    headers: { ...headers, "content-length": String(body.length) },
    // A connection of its own: one from a pool was vetted for another delivery.
    agent: false,
    lookup: pinned(addresses),
    maxHeaderSize: HEADER_BYTES_MAX,
    // Said, so that no NODE_TLS_REJECT_UNAUTHORIZED of the environment turns it off.
    rejectUnauthorized: true,
    signal,
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options);
    request.on("socket", (socket) => {
      socket.once("connect", () => {
        if (!allowPrivate && !isPublicAddress(socket.remoteAddress ?? "")) socket.destroy(new RefusedDestination("connected elsewhere"));
      });
    });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      void beginning(response).then((answer) => {
        resolve({ response, answer });
        request.destroy();
      });
    });
    // Once a status has come, what happens to the connection only cuts the body, and `beginning` sees it.
    request.on("error", (error) => answered || reject(error));
    // An answer such as 101 ends the connection without an error.
    request.on("close", () => answered || reject(new Error("closed without an answer")));
    request.end(body);
  });
}

/** Answers what was vetted, whatever the name stands for by now. */
function pinned(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, [...addresses]);
    else callback(null, first?.address ?? "", first?.family);
  };
}

/** The beginning of a body. What breaks off, comes too slowly or never ends is cut where it stands. */
async function beginning(response: IncomingMessage): Promise<string> {
  const kept: Buffer[] = [];
  let read = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (read < ANSWER_BYTES_KEPT) kept.push(chunk.subarray(0, ANSWER_BYTES_KEPT - read));
      read += chunk.length;
      if (read >= ANSWER_BYTES_MAX) break;
    }
  } catch {
    // The status has come; the rest of the body is only for the log.
  }
  // Postgres takes no NUL in text.
  return Buffer.concat(kept).toString("utf8").replaceAll("\0", "\ufffd");
}

function statusError(status: number): PostError | null {
  if (status >= 200 && status < 300) return null;
  return status >= 300 && status < 400 ? "redirect" : "bad_status";
}

function errorClass(error: unknown): PostError {
  if (error instanceof RefusedDestination) return "address_refused";
  const code = String((error as { code?: unknown }).code ?? "");
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_|INVALID_CA|EPROTO)/.test(code)) return "tls_failed";
  if (/^(?:ECONNRESET|EPIPE)/.test(code)) return "connection_reset";
  if (code.startsWith("HPE_")) return "invalid_answer";
  return code === "" ? "connection_reset" : "connection_failed";
}

/** Rejects when the signal fires first; what comes later is dropped. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error("aborted"));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
