import { within, type Counting, type EnterCall } from "./enter.ts";
import type { Done } from "./metered-call.ts";
import type { Outbox } from "./outbox.ts";

/** As a statement that only reads begins, after comments. `WITH` may write, so it counts as a write does: what it changed is measured. */
const READ = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*(?:select|values|explain|pragma)\b/i;
const TRANSACTION_NAME = "weir-metered-write";
/** `total_changes` counts what triggers change too; `changes` is stale after a read. */
const MEASURE = `SELECT total_changes() AS changes, (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes`;

interface Rows {
  columns: string[];
  rows: unknown[][];
}

type EachRow = (row: unknown[], columns: string[]) => void;

interface Statements {
  exec(sql: string, each?: EachRow): Promise<void>;
  execute(sql: string, params?: unknown): Promise<Rows>;
}

interface Transaction extends Statements {
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** What is used of an SQLite database of one object. */
export interface Database extends Statements {
  executeBatch(statements: { sql: string; params?: unknown }[]): Promise<Rows[]>;
  beginTransaction(timeoutMs?: number, name?: string): Promise<Transaction>;
  run(sql: string, params?: unknown): Promise<void>;
  query(sql: string, params?: unknown): Promise<Rows>;
}

/** The outbox of the moment, into which a transaction puts what it counts before it commits; null where there is none. */
type OutboxOf = () => Outbox | null;

/** `inner` with every statement counted. A write runs in a transaction, is measured there, and is rolled back where it passes a limit. */
export function meteredDatabase<D extends Database>(inner: D, enter: EnterCall, outboxOf: OutboxOf): D {
  const begin = async (timeoutMs?: number, name = TRANSACTION_NAME): Promise<Transaction> => {
    const { call, leave } = await enter();
    return meteredTransaction(await inner.beginTransaction(timeoutMs, name), call, leave, outboxOf);
  };
  const inTransaction = async <T>(work: (transaction: Transaction) => Promise<T>): Promise<T> => {
    const transaction = await begin();
    try {
      const result = await work(transaction);
      await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback().catch(() => undefined);
      throw error;
    }
  };
  const execute = (sql: string, params?: unknown): Promise<Rows> =>
    READ.test(sql)
      ? within(enter, (call) => call.read(inner.execute(sql, params), ({ rows }) => rows.length))
      : inTransaction((transaction) => transaction.execute(sql, params));
  return {
    ...inner,
    execute,
    query: execute,
    run: async (sql: string, params?: unknown) => void (await execute(sql, params)),
    exec: (sql: string, each?: EachRow) => inTransaction((transaction) => transaction.exec(sql, each)),
    executeBatch: (statements: { sql: string; params?: unknown }[]) =>
      inTransaction(async (transaction) => {
        const results: Rows[] = [];
        for (const { sql, params } of statements) results.push(await transaction.execute(sql, params));
        return results;
      }),
    beginTransaction: begin,
  };
}

async function measure(statements: Statements): Promise<{ changes: number; bytes: number }> {
  const { rows } = await statements.execute(MEASURE);
  const [changes = 0, bytes = 0] = (rows[0] ?? []).map(Number);
  return { changes, bytes };
}

/** The whole database's size, in bytes: the runtime's own tables and the outbox are in it. */
export const databaseBytes = async (database: Statements): Promise<number> => (await measure(database)).bytes;

async function meteredTransaction(
  inner: Transaction,
  call: Counting,
  leave: () => Promise<void>,
  outboxOf: OutboxOf,
): Promise<Transaction> {
  const before = await measure(inner);
  const done = { operations: 0, rowsRead: 0 };
  let [wrote, over] = [false, false];
  /** Before the rows of a statement are handed out. Counted they are with the whole transaction, which may be refused. */
  const note = async (rowsRead: number, writes: boolean): Promise<void> => {
    wrote ||= writes;
    done.operations += 1;
    done.rowsRead += rowsRead;
    await call.reach(done);
  };
  const end = async (): Promise<void> => {
    over = true;
    await leave();
  };
  return {
    ...inner,
    execute: async (sql, params) => {
      const result = await inner.execute(sql, params);
      await note(result.rows.length, !READ.test(sql));
      return result;
    },
    // Many statements in one text are one operation.
    exec: async (sql, each) => {
      const rows: Parameters<EachRow>[] = [];
      await inner.exec(sql, (...row) => rows.push(row));
      await note(rows.length, true);
      for (const row of rows) each?.(...row);
    },
    commit: async () => {
      const after = wrote ? await measure(inner) : before;
      const all: Done = { ...done, rowsWritten: after.changes - before.changes };
      const growth = after.bytes - before.bytes;
      over = true;
      await call.afford(all, growth);
      try {
        const pending = wrote ? call.pending({}, after.bytes) : null;
        if (pending) await outboxOf()?.keep(pending, inner);
        await inner.commit();
      } catch (error) {
        call.unspend(all, growth);
        throw error;
      }
      await end();
    },
    rollback: async () => {
      await inner.rollback();
      // What was read was read; what is refused counts nothing.
      if (!over) await call.afford(done).catch(() => undefined);
      await end();
    },
  };
}
