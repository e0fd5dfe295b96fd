/** Calls to the API: the same routes as everybody's, with the session's cookie for a key. */
/** @import { Problem } from "./types.ts" */

const TIMEOUT_MS = 20_000;
/** Tells the server that one of its own pages asks; see http/session.ts. */
const PAGE_HEADER = { "weir-dashboard": "1" };

let account = /** @type {string | null} */ (null);
let onSignedOut = () => {};
let onCost = /** @type {(what: string, cost: string) => void} */ (() => {});

/** Names the account that calls are about; null for a key that has one of its own.
 * @param {string | null} name */
export const aboutAccount = (name) => void (account = name);

/** @param {() => void} listener called when the session is no longer good */
export const whenSignedOut = (listener) => void (onSignedOut = listener);

/** @param {(what: string, cost: string) => void} listener told what each metered call counted */
export const whenMetered = (listener) => void (onCost = listener);

/** An answer other than 2xx: a problem document, or one of our own where there was no answer. */
export class CallProblem extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** @param {unknown} error
 * @returns {Problem} */
export const problemOf = (error) =>
  error instanceof CallProblem ? error.problem : { code: "internal_error", status: 0, message: String(error) };

/** A path with every inserted name escaped.
 * @param {TemplateStringsArray} strings
 * @param {...string} names */
export const path = (strings, ...names) =>
  strings.reduce((out, text, i) => out + text + (i < names.length ? encodeURIComponent(names[i] ?? "") : ""), "");

/** @typedef {{ body?: unknown, query?: Record<string, string | number | null | undefined>, signal?: AbortSignal, withoutAccount?: boolean, lasting?: boolean }} CallOptions */

/** The JSON of a 2xx answer; throws CallProblem for anything else.
 * @template T
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} url
 * @param {CallOptions} [options]
 * @returns {Promise<T>} */
export async function call(method, url, options = {}) {
  const response = await send(method, url, options);
  if (!response.ok) throw new CallProblem(await readProblem(response));
  return response.json();
}

/** A file, for saving: a link could not name the account.
 * @param {string} url
 * @param {string} name */
export async function download(url, name) {
  const response = await send("GET", url, {});
  if (!response.ok) throw new CallProblem(await readProblem(response));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {string} method
 * @param {string} url
 * @param {CallOptions} options */
export async function send(method, url, { body, query, signal, withoutAccount, lasting }) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const headers = {
    ...(method === "GET" ? {} : PAGE_HEADER),
    ...(account === null || withoutAccount ? {} : { "weir-account": account }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  const response = await fetch(url + searchOf(query), {
    method,
    headers,
    credentials: "same-origin",
    signal: signal === undefined ? timeout : lasting ? signal : AbortSignal.any([signal, timeout]),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error) => {
    if (signal?.aborted) throw error;
    throw new CallProblem({ code: "unavailable", status: 0, message: "Weir does not answer. Is it running? Start it with: npm start" });
  });
  const cost = response.headers.get("weir-usage");
  if (cost !== null) onCost(`${method} ${decodeURIComponent(url.replace("/v1/services/", ""))}`, cost);
  if (response.status === 401 && !url.startsWith("/v1/session")) onSignedOut();
  return response;
}

/** @param {Response} response
 * @returns {Promise<Problem>} */
async function readProblem(response) {
  const made = { code: "internal_error", status: response.status, message: `The server answered ${response.status} and no explanation.` };
  const read = await response.json().catch(() => null);
  const after = Number(response.headers.get("retry-after"));
  return { ...made, ...read, ...(after > 0 ? { retryAfter: after } : {}) };
}

/** @param {CallOptions["query"]} query */
function searchOf(query = {}) {
  const given = Object.entries(query).flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}
