import { readFileSync } from "node:fs";
import { CompiledQuery, Kysely } from "kysely";
import postgres from "postgres";
import { WeirError, unavailable } from "../kernel/errors.ts";
import { ARRAY_TYPES } from "./array-types.ts";
import { postgresDialect } from "./postgres-dialect.ts";
import type { Database } from "./schema.ts";

export type Db = Kysely<Database>;

/** Connections a process holds. Two cores serve about 10 statements at once; more only queue inside Postgres. */
const POOL_SIZE = 10;
const CONNECT_TIMEOUT_S = 5;
/** No statement of Weir's is meant to take a second; ten is a fault. */
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;
/** How long a caller waits for Postgres before it is told that it is away. */
const CALL_TIMEOUT_MS = 12_000;

// One statement a connection at a time: behind one that waits for a lock, others would wait too. The driver knows the option, its types do not.
const UNDOCUMENTED = { max_pipeline: 1 };

export interface Postgres {
  db: Db;
  close(): Promise<void>;
}

/**
 * Opens a pool. Quantities come as `bigint`, never as doubles. Whatever must be atomic is one statement:
 * postgres.js can report a transaction as done whose backend died in the middle (DESIGN §3, "Drivers bite").
 */
export function openPostgres(url: string, options: { poolSize?: number } = {}): Postgres {
  const client = postgres(url, {
    max: options.poolSize ?? POOL_SIZE,
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: 60,
    ...UNDOCUMENTED,
    fetch_types: false,
    types: { bigint: postgres.BigInt, ...ARRAY_TYPES },
    connection: {
      application_name: "weir",
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
      TimeZone: "UTC",
      // Booking statements take arrays of any length: the generic plan made after five runs took 70 ms for what takes 8.
      plan_cache_mode: "force_custom_plan",
    },
    onnotice: () => {},
  });
  const db = new Kysely<Database>({ dialect: postgresDialect(client) });
  // Not db.destroy(): it would wait for ever on a connection whose server is gone.
  return { db, close: () => client.end({ timeout: 2 }) };
}

/** Reads `sql/queries/<name>.sql`, once: a long set-based statement lives in a file of its own. */
export function loadQuery(name: string): string {
  return readFileSync(new URL(`../../sql/queries/${name}.sql`, import.meta.url), "utf8");
}

/** Runs a statement of `sql/queries`. `parameters` are its $1, $2 … as its header names them. */
export async function runQuery<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  const result = await reachPostgres(db.executeQuery<Row>(CompiledQuery.raw(text, [...parameters])));
  return result.rows;
}

// SQLSTATE classes that say "not now" rather than "not so": connection, password, database (gone, or closed to connections), resources,
// operator, lock and statement time limits.
const AWAY = /^(?:08|28|3D|53|57|55000|55P03|25P03|CONNECT|CONNECTION|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)/;

/** Awaits a Postgres call; an absent, overloaded or hanging server becomes `503 unavailable`, other errors pass. */
export async function reachPostgres<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable("Postgres")), CALL_TIMEOUT_MS);
  });
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    if (error instanceof WeirError) throw error;
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && AWAY.test(code)) throw unavailable("Postgres", error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
