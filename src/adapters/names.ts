import { createHash } from "node:crypto";
import { isObjectName } from "../kernel/ids.ts";

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
