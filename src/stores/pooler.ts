import type { Client } from "./sessions.ts";

/** No statement of Weir's is meant to take a second; ten is a fault. */
const STATEMENT_TIMEOUT_MS = 10_000;
const LOCK_TIMEOUT_MS = 5_000;

/** What each connection of Weir's to Postgres is set to. */
export const SETTINGS = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
  // Booking statements take arrays of any length: the generic plan made after five runs took 70 ms for what takes 8.
  plan_cache_mode: "force_custom_plan",
  // A statement is one account's, or some hundreds': workers cost more to start than they save, and take the cores of what is asked meanwhile.
  max_parallel_workers_per_gather: 0,
} as const;

/**
 * Behind a pooler in transaction mode a connection belongs to nobody: what it is set to, the pooler must set when it opens it (PgBouncer's
 * `connect_query`, deploy/pgbouncer.ini). Throws an Error that says what is missing: without it nothing ends a statement that hangs.
 */
export async function expectSettings(client: Client): Promise<void> {
  const names = Object.keys(SETTINGS);
  const rows = await client.unsafe<{ name: string; setting: string }[]>(
    "select name, setting from pg_settings where name = any ($1::text[]) order by name",
    [names],
  );
  const wrong = rows.filter(({ name, setting }) => setting !== String(SETTINGS[name as keyof typeof SETTINGS]));
  if (wrong.length === 0) return;
  const wanted = wrong.map(({ name }) => `set ${name} = ${SETTINGS[name as keyof typeof SETTINGS]}`).join("; ");
  throw new Error(
    `The pooler of DATABASE_POOLED_URL opens connections that are not set as Weir needs them. Its connect_query must hold: ${wanted}`,
  );
}
