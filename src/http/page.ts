import { z } from "zod";
import { validationFailed } from "../kernel/errors.ts";

const PAGE_LIMIT_DEFAULT = 100;
const PAGE_LIMIT_MAX = 1_000;
/** The same as text. */
const PAGE_LIMIT = /^(?:[1-9]\d{0,2}|1000)$/;
/** A cursor holds a name or two. */
const CURSOR_LENGTH_MAX = 4_096;

/** `?limit` and `?cursor` of every list. Query values are text, so the limit is read from text, strictly. */
export const pageQuerySchema = z.strictObject({
  limit: z.string().regex(PAGE_LIMIT, `must be 1 to ${PAGE_LIMIT_MAX}`).optional(),
  cursor: z.string().min(1).max(CURSOR_LENGTH_MAX).optional(),
});

export type PageQuery = z.infer<typeof pageQuerySchema>;

/** One row more than the page tells whether there is a next one. */
export const pageLimit = ({ limit }: PageQuery): number => (limit === undefined ? PAGE_LIMIT_DEFAULT : Number(limit));

/** Opaque to callers; `parts` are what the next page begins after. */
export const encodeCursor = (parts: readonly (string | number)[]): string => Buffer.from(JSON.stringify(parts)).toString("base64url");

/** Reads a cursor of `length` parts; throws `validation_failed` for anything else. */
export function decodeCursor(cursor: string | undefined, length: number): (string | number)[] | null {
  if (cursor === undefined) return null;
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (Array.isArray(parts) && parts.length === length && parts.every(isPart)) return parts;
  } catch {
    // Falls through to the one answer for every bad cursor.
  }
  throw badCursor();
}

const badCursor = (): Error => validationFailed([{ path: "cursor", message: "is not a cursor of this list" }]);

/** What Postgres can be asked about: it takes neither NUL nor half a surrogate pair. */
const isPart = (part: unknown): part is string | number =>
  typeof part === "number" || (typeof part === "string" && part.isWellFormed() && !part.includes("\0"));

/** The last instant a Date can hold. */
const INSTANT_MAX = 8.64e15;

/** The place in a list that is ordered by time, newest first, then by id; a forged one is refused before Postgres sees it. */
export function createdCursor(cursor: string | undefined): { createdAt: number; id: string } | null {
  const parts = decodeCursor(cursor, 2);
  if (parts === null) return null;
  const [createdAt, id] = parts;
  if (!Number.isSafeInteger(createdAt) || Math.abs(Number(createdAt)) > INSTANT_MAX) throw badCursor();
  return { createdAt: Number(createdAt), id: String(id) };
}

/** Cuts `rows`, read with one row to spare, to a page. */
export function pageOf<T>(rows: T[], limit: number, cursorOf: (last: T) => string): { rows: T[]; nextCursor: string | null } {
  if (rows.length <= limit) return { rows, nextCursor: null };
  const page = rows.slice(0, limit);
  const last = page[page.length - 1];
  return { rows: page, nextCursor: last === undefined ? null : cursorOf(last) };
}
