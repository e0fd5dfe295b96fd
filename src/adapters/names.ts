import { createHash } from "node:crypto";
import { isObjectName } from "../kernel/ids.ts";
import type { Place } from "./port.ts";

const NAMESPACE_LENGTH_MAX = 64;

/** A runtime's key as an object's name: as it is where Weir takes it, else percent-encoded, else (too long) its SHA-256. */
export function objectName(key: string): string {
  if (isObjectName(key)) return key;
  const encoded = encodeURIComponent(key.toWellFormed());
  return isObjectName(encoded) ? encoded : createHash("sha256").update(key).digest("hex");
}

/** A runtime's type name as a namespace: `chat-room.v2` is `ChatRoomV2`. Two names may meet there; then name the namespace yourself. */
export function namespaceName(name: string): string {
  const joined = name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
  return (/^[A-Z]/.test(joined) ? joined : `N${joined}`).slice(0, NAMESPACE_LENGTH_MAX);
}

/** Whose usage a runtime's calls are, and under which names it is counted. */
export interface Naming<Call> {
  /** Who pays: one account's name, or decided from the call alone, so that every repetition decides alike. */
  account: string | ((call: Call) => string);
  /** The account's name for the service it has deployed. */
  service: string;
  /** Namespaces by the runtime's type name, where the name made of it does not do. */
  namespaces?: Readonly<Record<string, string>>;
}

/** Where the usage of a call on the object `key` of `type` belongs. */
export function placeOf<Call>({ account, service, namespaces }: Naming<Call>, call: Call, type: string, key: string): Place {
  const payer = typeof account === "string" ? account : account(call);
  return { account: payer, service, namespace: namespaces?.[type] ?? namespaceName(type), object: objectName(key) };
}
