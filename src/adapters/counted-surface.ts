import { within, type EnterCall } from "./enter.ts";
import { overlay } from "./overlay.ts";

/** An object whose methods are operations. */
export type Surface = Record<string, (...args: never[]) => Promise<unknown>>;

/** The rows of one operation: of a read by its result, of a write by its arguments, before it is done. */
export type Rows = { read: (result: unknown) => number } | { write: (args: readonly never[], on: Surface) => number | Promise<number> };

/** The operations that are counted, by name. */
export type Table = Readonly<Record<string, Rows>>;

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
  return overlay(surface, Object.fromEntries(operations));
}
