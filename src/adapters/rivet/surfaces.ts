import { isRecord } from "../json.ts";
import { within, type EnterCall } from "./enter.ts";

/** The rows of one operation: of a read by its result, of a write by its arguments, before it is done. */
type Rows = { read: (result: unknown) => number } | { write: (args: readonly never[], on: Surface) => number | Promise<number> };

type Surface = Record<string, (...args: never[]) => Promise<unknown>>;
type Table = Readonly<Record<string, Rows>>;

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

/** `surface` with the operations of `table` counted; a write before it is done. */
export function counted(surface: Surface, table: Table, enter: EnterCall): Surface {
  const operations = Object.entries(table).map(([name, rows]) => {
    const operation = (...args: never[]): Promise<unknown> =>
      within(enter, async (call) => {
        const act = async (): Promise<unknown> => surface[name]?.(...args);
        if ("read" in rows) return call.read(act(), rows.read);
        const done = { operations: 1, rowsWritten: await rows.write(args, surface) };
        await call.afford(done);
        return act().catch((error: unknown) => {
          call.unspend(done);
          throw error;
        });
      });
    return [name, operation] as const;
  });
  const own = Object.fromEntries(operations);
  return new Proxy(surface, {
    get: (target, name) => {
      if (typeof name === "string" && Object.hasOwn(own, name)) return own[name];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

/** What a scheduled action is handed after its own arguments. */
export const isFiring = (value: unknown): boolean =>
  isRecord(value) && typeof value["firedAt"] === "number" && typeof value["scheduledAt"] === "number" && typeof value["id"] === "string";
