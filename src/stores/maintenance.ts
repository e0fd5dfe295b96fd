import postgres from "postgres";
import { reachPostgres } from "./database.ts";

/** An index of a month with a thousand million rows takes tens of minutes to build. */
const STATEMENT_TIMEOUT_MS = 2 * 60 * 60 * 1_000;
/** Nobody's writes are to queue behind maintenance that itself waits for a lock. */
const LOCK_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_S = 5;
/**
 * Any constant of ours: whoever builds indexes of the ledger or detaches a part of it holds this lock. Two that build one at once wait for each
 * other, and Postgres ends one of them.
 */
export const MAINTENANCE_LOCK = "7193471104";

/** A connection of its own for what may take long and may not run in a transaction: building indexes, vacuum. */
export interface Maintenance {
  ask<Row>(query: string, parameters: readonly (string | number)[]): Promise<Row[]>;
  /** Runs one statement, however long it takes (two hours at most). */
  run(statement: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens one at the first statement. `databaseUrl` leads to the server itself: a pooler would end what takes long. */
export function openMaintenance(databaseUrl: string): Maintenance {
  const sql = postgres(databaseUrl, {
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_S,
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: "weir maintenance",
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      TimeZone: "UTC",
    },
  });
  return {
    ask: async <Row>(query: string, parameters: readonly (string | number)[]) =>
      (await reachPostgres(sql.unsafe(query, [...parameters]))) as unknown as Row[],
    run: async (statement) => void (await sql.unsafe(statement)),
    close: () => sql.end({ timeout: 2 }),
  };
}
