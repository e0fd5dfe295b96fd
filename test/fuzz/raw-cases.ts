import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import type { Party } from "../integration/isolation/party.ts";
import { RawConnection } from "../support/raw-http.ts";

/** What the server gives a client that does not finish: 20 s for a head, 30 s for a request, and a second to notice (src/http/app.ts). */
const HEAD_LIMIT_MS = 20_000;
const REQUEST_LIMIT_MS = 30_000;
const NOTICE_MS = 5_000;
const DRIBBLE_MS = 500;
const PIPELINED = 200;
/** Answers of 400 kB that a client asks for and never reads. */
const UNREAD_ANSWERS = 300;

export interface RawCase {
  name: string;
  /** Null when all is well, else what was seen. */
  run: () => Promise<string | null>;
}

/** Who is asked, and what must not come of it. */
export interface RawGround {
  url: string;
  adminKey: string;
  party: Party;
  /** How long an answer may take. */
  hangMs: number;
}

const head = (ground: RawGround, line: string, ...headers: string[]): string =>
  `${[line, "Host: weir", `Authorization: Bearer ${ground.adminKey}`, `Weir-Account: ${ground.party.account}`, ...headers].join("\r\n")}\r\n\r\n`;

/** A call that would set a cap, hidden behind one whose end two readers could see in two places. */
function hidden(ground: RawGround): string {
  const body = '{"period":"day","capValue":123456}';
  return (
    head(ground, "PUT /v1/usage/caps/state_requests HTTP/1.1", "Content-Type: application/json", `Content-Length: ${body.length}`) + body
  );
}

/** Ways to say twice, or unclearly, where a body ends. Each must be refused, and the connection closed: the rest is nobody's request. */
const UNCLEAR: readonly [name: string, headers: string[], body: string][] = [
  ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"], "0\r\n\r\n"],
  ["chunks and a length", ["Transfer-Encoding: chunked", "Content-Length: 4"], "0\r\n\r\n"],
  ["two lengths", ["Content-Length: 2", "Content-Length: 3"], "{}"],
  ["a list of lengths", ["Content-Length: 2, 3"], "{}"],
  ["a length with a sign", ["Content-Length: +2"], "{}"],
  ["a length in hexadecimal", ["Content-Length: 0x2"], "{}"],
  ["a length beyond 2^64", ["Content-Length: 18446744073709551618"], "{}"],
  ["chunks that are not last", ["Transfer-Encoding: chunked, identity"], "0\r\n\r\n"],
  ["chunks by another name", ["Transfer-Encoding: xchunked"], "0\r\n\r\n"],
  ["a name with a blank before the colon", ["Transfer-Encoding : chunked"], "0\r\n\r\n"],
  ["a folded line", ["X: a\r\n Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked"], "0\r\n\r\n"],
  ["a bare line feed", ["X: a\nContent-Length: 2"], "{}"],
  ["a bare carriage return", ["X: a\rContent-Length: 2"], "{}"],
  ["a chunk of a size beyond 2^64", ["Transfer-Encoding: chunked"], "10000000000000002\r\n{}\r\n0\r\n\r\n"],
  ["a chunk of a size with a sign", ["Transfer-Encoding: chunked"], "-2\r\n{}\r\n0\r\n\r\n"],
  ["a chunk longer than it says", ["Transfer-Encoding: chunked"], "1\r\n{}\r\n0\r\n\r\n"],
  ["a chunk's end without a carriage return", ["Transfer-Encoding: chunked"], "2\n{}\n0\n\n"],
];

/** What only a socket can do: to be hidden in one request, to ask all at once, not to read, not to finish. */
export function rawCases(ground: RawGround): RawCase[] {
  return [
    ...UNCLEAR.map(([name, headers, body]) => ({ name: `smuggling: ${name}`, run: () => smuggled(ground, headers, body) })),
    { name: "a body that a GET brings along is not the next request", run: () => behindGet(ground) },
    { name: "many requests at once are answered in order", run: () => pipelined(ground) },
    { name: "a head of 40 kB is refused", run: () => largeHead(ground) },
    { name: "a client that closes its half is let go", run: () => halfClosed(ground) },
    { name: "answers that nobody reads are not made in advance", run: () => unread(ground) },
  ];
}

/** They take half a minute: run them beside everything else. */
export function slowCases(ground: RawGround): RawCase[] {
  const post = head(ground, "POST /v1/check HTTP/1.1", "Content-Type: application/json", "Content-Length: 1000");
  return [
    { name: "a connection that says nothing is closed", run: () => dribbled(ground, "", HEAD_LIMIT_MS) },
    { name: "a head that never ends is cut off", run: () => dribbled(ground, "GET /health HTTP/1.1\r\nX: ", HEAD_LIMIT_MS) },
    { name: "a body that never ends is cut off", run: () => dribbled(ground, post, REQUEST_LIMIT_MS) },
  ];
}

async function smuggled(ground: RawGround, headers: readonly string[], body: string): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  const first = head(ground, "POST /v1/pricing/rate HTTP/1.1", "Content-Type: application/json", ...headers);
  connection.send(first + body + hidden(ground));
  const statuses: number[] = [];
  for (;;) {
    const answer = await connection.answer({ waitMs: ground.hangMs }).catch(() => "open" as const);
    if (answer === "open") return `the connection stays open after ${statuses.join(", ") || "nothing"}`;
    if (answer === null) break;
    statuses.push(answer.status);
  }
  connection.end();
  return statuses.every((status) => status >= 400 && status < 500) ? null : `answered ${statuses.join(", ")}`;
}

async function behindGet(ground: RawGround): Promise<string | null> {
  const inner = "GET /v1/accounts HTTP/1.1\r\nHost: weir\r\n\r\n";
  const connection = new RawConnection(ground.url);
  connection.send(head(ground, "GET /v1/usage HTTP/1.1", "Content-Type: application/json", `Content-Length: ${inner.length}`) + inner);
  const answer = await connection.answer({ waitMs: ground.hangMs }).catch(() => null);
  await sleep(DRIBBLE_MS);
  const more = connection.unread;
  connection.end();
  return answer === null || answer.status >= 500 || more > 0 ? `answered ${answer?.status ?? "nothing"}, and ${more} bytes more` : null;
}

async function pipelined(ground: RawGround): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  const paths = Array.from({ length: PIPELINED }, (_, i) => `/nowhere/${i}`);
  connection.send(paths.map((path) => head(ground, `GET ${path} HTTP/1.1`)).join(""));
  for (const path of paths) {
    const answer = await connection.answer({ waitMs: 10 * ground.hangMs }).catch(() => null);
    // Beyond 64 they are told to wait, in their turn too.
    if (!answer || ![404, 429].includes(answer.status) || !answer.body.includes(path))
      return `${path} was answered ${answer?.status ?? "not at all"}`;
  }
  connection.end();
  return null;
}

async function largeHead(ground: RawGround): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  connection.send(head(ground, "GET /v1/usage HTTP/1.1", ...Array.from({ length: 40 }, (_, i) => `X-${i}: ${"x".repeat(1_000)}`)));
  const answer = await connection.answer({ waitMs: ground.hangMs }).catch(() => null);
  connection.end();
  return answer === null || answer.status === 413 ? null : `answered ${answer.status}`;
}

/** Whoever half-closes has left, for HTTP servers: it is not answered, and nothing of it is kept. */
async function halfClosed(ground: RawGround): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  connection.socket.end(head(ground, "GET /v1/usage HTTP/1.1"));
  const closed = await connection.closed(ground.hangMs).then(
    () => true,
    () => false,
  );
  connection.end();
  return closed ? null : "still open";
}

async function unread(ground: RawGround): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  connection.socket.pause();
  connection.send(head(ground, "GET /openapi.json HTTP/1.1").repeat(UNREAD_ANSWERS));
  await sleep(2 * DRIBBLE_MS);
  const other = new RawConnection(ground.url);
  other.send(head(ground, "GET /v1/usage HTTP/1.1"));
  const answer = await other.answer({ waitMs: ground.hangMs }).catch(() => null);
  for (const one of [connection, other]) one.end();
  return answer?.status === 200 ? null : `somebody else was answered ${answer?.status ?? "nothing"}`;
}

/** Sends a byte now and then. The server must end it in time, with a refusal or without a word. */
async function dribbled(ground: RawGround, start: string, limitMs: number): Promise<string | null> {
  const connection = new RawConnection(ground.url);
  const began = monotonicMs();
  connection.send(start);
  const answer = connection.answer({ waitMs: limitMs + NOTICE_MS });
  answer.catch(() => {});
  while (!connection.isClosed && monotonicMs() - began < limitMs + NOTICE_MS) {
    if (start !== "") connection.send("x");
    await sleep(DRIBBLE_MS);
  }
  const tookMs = Math.round(monotonicMs() - began);
  const { isClosed } = connection;
  connection.end();
  const status = (await answer.catch(() => null))?.status ?? 400;
  if (!isClosed) return `still open after ${tookMs} ms`;
  return status >= 400 && status < 500 ? null : `answered ${status}`;
}
