import { createHash } from "node:crypto";
import { NAME_LENGTH_MAX } from "../kernel/ids.ts";
import { TraceLineError, checkedOperation, type TraceOperation } from "./operation.ts";

// client identity user [time] "request" status bytes — the rest (referrer, agent) is not used. A quote inside is written \".
const LINE = /^(\S+) \S+ \S+ \[[^\]]+\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d{1,15}|-)(?: |$)/;
const REQUEST = /^([A-Z]+) (\S+)(?: HTTP\/[\d.]+)?$/;

/** The log does not say how much a client sent: its writes store the least there is. */
const WRITE_BYTES = 1;

/** True for a line of an Apache common or combined log. */
export const isAccessLog = (line: string): boolean => LINE.test(line);

/** Object = client address, key = path, GET and HEAD = get, else put; one worker request with the response's bytes beside it. */
export function parseAccessLog(line: string): TraceOperation {
  const [, client, request, , sent] = LINE.exec(line) ?? [];
  const [, method, target] = REQUEST.exec(request ?? "") ?? [];
  if (client === undefined || method === undefined || target === undefined || sent === undefined) {
    throw new TraceLineError("it is not a line of an access log");
  }
  const read = method === "GET" || method === "HEAD";
  const responseBytes = sent === "-" ? 0 : Number(sent);
  return checkedOperation({
    kind: read ? "get" : "put",
    service: null,
    namespace: null,
    object: client,
    key: keyOf(target),
    bytes: read ? 0 : WRITE_BYTES,
    alongside: responseBytes > 0 ? { worker_requests: 1, worker_transfer_bytes: responseBytes } : { worker_requests: 1 },
  });
}

/** The path as a key. Paths may be longer than a key can be (595 characters were seen): those end in a digest of the whole. */
function keyOf(target: string): string {
  if (target.length <= NAME_LENGTH_MAX) return target;
  const digest = createHash("sha256").update(target).digest("hex").slice(0, 32);
  return `${target.slice(0, NAME_LENGTH_MAX - digest.length - 1).toWellFormed()}~${digest}`;
}
