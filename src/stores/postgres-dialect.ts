import {
  CompiledQuery,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
} from "kysely";
import type { ParameterOrJSON, Row, RowList } from "postgres";
import type { Client } from "./sessions.ts";

const DEADLOCK = "40P01";
/**
 * How often a statement that Postgres gave up to end a deadlock is sent again: it has changed nothing, and the other is done by then. Rows are
 * locked in one order everywhere (docs/decisions/0004 makes each change one statement); the fuzzer found one in 100,000 requests that was not.
 */
const DEADLOCKS_MAX = 2;

/** Runs one statement. */
export type Run = (sql: string, parameters: readonly unknown[]) => Promise<RowList<Row[]>>;

/** Runs statements on whichever connection of a pool is free; `prepare`: under a name, once a connection. */
export const onPool =
  (client: Client, { prepare }: { prepare: boolean }): Run =>
  (sql, parameters) =>
    client.unsafe(sql, parameters as ParameterOrJSON<bigint>[], { prepare });

/**
 * Kysely over postgres.js without reserving a connection for each query: when the backend of a reserved one dies, the driver hands the
 * dead connection out again, and the next query on it ends the process with an uncaught TypeError (seen at every
 * pg_terminate_backend). Weir needs no reservation, since whatever must be atomic is one statement; transactions are refused.
 */
export function postgresDialect(run: Run): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PoolDriver(run),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

class PoolDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(run: Run) {
    this.#connection = new PoolConnection(run);
  }

  async init(): Promise<void> {}

  acquireConnection(): Promise<DatabaseConnection> {
    return Promise.resolve(this.#connection);
  }

  async releaseConnection(): Promise<void> {}

  beginTransaction(): Promise<never> {
    return Promise.reject(new Error("Write one statement: a transaction of postgres.js can lose its first half and still say it is done."));
  }

  commitTransaction(): Promise<never> {
    return this.beginTransaction();
  }

  rollbackTransaction(): Promise<never> {
    return this.beginTransaction();
  }

  async destroy(): Promise<void> {}
}

class PoolConnection implements DatabaseConnection {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const rows = await this.#runAgainAfterDeadlock(sql, parameters);
    const changes = rows.command === "INSERT" || rows.command === "UPDATE" || rows.command === "DELETE";
    return { rows: rows as unknown as Row[], ...(changes ? { numAffectedRows: BigInt(rows.count) } : {}) };
  }

  async #runAgainAfterDeadlock(sql: string, parameters: readonly unknown[]): Promise<RowList<Row[]>> {
    for (let again = 0; ; again++) {
      try {
        return await this.#run(sql, parameters);
      } catch (error) {
        if (again === DEADLOCKS_MAX || (error as { code?: unknown }).code !== DEADLOCK) throw error;
      }
    }
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error("Nothing in Weir streams rows: page instead.");
  }
}
