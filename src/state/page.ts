import { validationFailed } from "../kernel/errors.ts";

/** One page of a list: what was asked for, where the next begins (null at the end). */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface PageRequest {
  /** 1–1,000. */
  limit: number;
  /** A `nextCursor` of the same list. */
  cursor?: string | undefined;
}

/** What kind of list a cursor belongs to, so that one of another list is refused instead of skipping silently. */
export type CursorKind = "namespaces" | "objects" | "keys";

/** The opaque cursor after `last`. */
export const encodeCursor = (kind: CursorKind, last: string): string => Buffer.from(`${kind}:${last}`).toString("base64url");

/** The name that `cursor` stands after; "" for none, which sorts before every name. Throws `validation_failed`. */
export function decodeCursor(kind: CursorKind, cursor: string | undefined): string {
  if (cursor === undefined) return "";
  const text = Buffer.from(cursor, "base64url").toString();
  if (text.startsWith(`${kind}:`) && Buffer.from(text).toString("base64url") === cursor) return text.slice(kind.length + 1);
  throw validationFailed([{ path: "cursor", message: `is not a cursor of this list of ${kind}` }]);
}

/** Makes a page out of `limit + 1` rows: the one too many only tells that there is more. */
export function toPage<T>(rows: T[], limit: number, kind: CursorKind, nameOf: (row: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(kind, nameOf(last)) : null };
}
