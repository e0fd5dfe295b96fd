import { isKeyName, isObjectName, NAMESPACE_NAME_PATTERN, SERVICE_PATTERN } from "../kernel/ids.ts";
import { QUANTITY_MAX } from "../kernel/quantity.ts";

/** The State operations that a trace can hold; the names are the catalogue's. */
export type OperationKind = "get" | "put" | "delete-value";

/** One line of a trace, as Weir is asked it. */
export interface TraceOperation {
  kind: OperationKind;
  /** Null where the trace names none: the replay's own is taken. */
  service: string | null;
  namespace: string | null;
  object: string;
  key: string;
  /** Size of the value that a `put` writes; 0 for the others. */
  bytes: number;
  /** Usage of other meters that this line stands for (a web request's), or null. */
  alongside: Readonly<Record<string, number>> | null;
}

/** A line that is not an operation. The message says why, without the line's number. */
export class TraceLineError extends Error {}

const KINDS: Readonly<Record<string, OperationKind>> = {
  get: "get",
  gets: "get",
  read: "get",
  r: "get",
  head: "get",
  put: "put",
  set: "put",
  write: "put",
  w: "put",
  delete: "delete-value",
  del: "delete-value",
  d: "delete-value",
  "delete-value": "delete-value",
};

/** The operation that a trace's word means. Throws `TraceLineError` for an unknown one. */
export function operationKind(word: string): OperationKind {
  const name = word.trim().toLowerCase();
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) throw new TraceLineError(`"${word.slice(0, 40)}" is not get, put or delete`);
  return kind;
}

/** `operation` itself when Weir could be asked it. A bad name would cost its whole batch a 400. Throws `TraceLineError`. */
export function checkedOperation(operation: TraceOperation): TraceOperation {
  const { service, namespace, object, key, bytes } = operation;
  if (service !== null && !SERVICE_PATTERN.test(service)) throw new TraceLineError(`"${service.slice(0, 40)}" is not a service's name`);
  if (namespace !== null && !NAMESPACE_NAME_PATTERN.test(namespace)) {
    throw new TraceLineError(`"${namespace.slice(0, 40)}" is not a namespace's name`);
  }
  if (!isObjectName(object) || object === "." || object === "..") throw new TraceLineError("the object's name is not valid");
  if (!isKeyName(key) || key === "." || key === "..") throw new TraceLineError("the key is not valid");
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > QUANTITY_MAX / 2) throw new TraceLineError("bytes is not a whole number");
  return operation;
}

/** Reads a whole number. Throws `TraceLineError`. */
export function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new TraceLineError(`${what} "${text.slice(0, 40)}" is not a whole number`);
  return Number(text);
}
