import type { Rows, Table } from "../counted-surface.ts";
import { isRecord } from "../json.ts";

const many = (result: unknown): number => (Array.isArray(result) ? Math.max(1, result.length) : 1);
const one: Rows = { write: () => 1 };
const list: Rows = { read: many };
const found = (values: unknown): number =>
  (Array.isArray(values) ? values : []).filter((value) => value !== null && value !== undefined).length;

/** Operations of `c.kv`. Removals look first: what is not there is no row. */
const KV: Table = {
  get: { read: (value) => found([value]) },
  batchGet: { read: (values) => found(values) },
  list,
  listPrefix: list,
  listRange: list,
  put: one,
  batchPut: { write: ([entries]) => found(entries) },
  delete: { write: async ([key], kv) => found([await kv["get"]?.(key as never)]) },
  batchDelete: { write: async ([keys], kv) => found(await kv["batchGet"]?.(keys as never)) },
  deleteRange: { write: async ([start, end], kv) => many(await kv["listRange"]?.(start as never, end as never)) },
};
const SCHEDULE: Table = { after: one, at: one, cancel: one, get: { read: () => 1 }, list };
const CRON: Table = { set: one, every: one, delete: one, get: { read: () => 1 }, list, history: list };

/** The surfaces of an actor's context whose every operation goes through a call. */
export const SURFACES: Readonly<Record<string, Table>> = { kv: KV, schedule: SCHEDULE, cron: CRON };

/** What a scheduled action is handed after its own arguments. */
export const isFiring = (value: unknown): boolean =>
  isRecord(value) && typeof value["firedAt"] === "number" && typeof value["scheduledAt"] === "number" && typeof value["id"] === "string";
