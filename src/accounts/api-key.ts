import { hash } from "node:crypto";
import { newId, randomBase62 } from "../kernel/ids.ts";

export const SCOPES = ["admin", "data_plane", "account", "read_only"] as const;
export type Scope = (typeof SCOPES)[number];
/** Scopes of keys that belong to one account; the others are the operator's. */
export const ACCOUNT_SCOPES = ["account", "read_only"] as const;
export const OPERATOR_SCOPES = ["admin", "data_plane"] as const;

/** How long a rotated key works on beside its successor unless told, seconds: a day to bring the new one everywhere. */
export const OVERLAP_SECONDS_DEFAULT = 86_400;
export const OVERLAP_SECONDS_MAX = 30 * 86_400;

/** 178 random bits: a plain hash is enough, no password hashing (research: at that entropy it only costs time). */
const SECRET_LENGTH = 30;

export interface ApiKey {
  id: string;
  account: string | null;
  scope: Scope;
  name: string | null;
  lastFour: string;
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
  /** To the minute. */
  lastUsedAt: number | null;
  /** The id of the key that took its place. */
  replacedBy: string | null;
}

/** Mints `weir_<scope>_<id>_<secret>`. The whole of it is the credential; only its hash is kept. */
export function mintKey(scope: Scope): { id: string; key: string; hash: Buffer; lastFour: string } {
  const id = newId("key");
  const key = `weir_${scope}_${id.slice("key_".length)}_${randomBase62(SECRET_LENGTH)}`;
  return { id, key, hash: hashKey(key), lastFour: key.slice(-4) };
}

export const hashKey = (key: string): Buffer => hash("sha256", key, "buffer");

/** The id inside a key, or null for a text that is none. */
export function keyId(key: string): string | null {
  const match = /^weir_(?:admin|data_plane|account|read_only)_([0-9A-Za-z]{20})_[0-9A-Za-z]{30}$/.exec(key);
  return match ? `key_${match[1]}` : null;
}
