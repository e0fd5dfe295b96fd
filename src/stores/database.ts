import { readFileSync } from "node:fs";
import { CompiledQuery, Kysely } from "kysely";
import postgres from "postgres";
import { currentCaller } from "../kernel/caller.ts";
import { WeirError, unavailable } from "../kernel/errors.ts";
import { ARRAY_TYPES } from "./array-types.ts";
import { isAway } from "./away.ts";
import { SETTINGS, expectSettings } from "./pooler.ts";
import { onPool, postgresDialect, type Run } from "./postgres-dialect.ts";
import { Replica } from "./replica.ts";
import type { Database } from "./schema.ts";
import { Sessions, TENANT_ROLE, type Client, type Connect } from "./sessions.ts";

export type Db = Kysely<Database>;

/** Connections a process holds. Two cores serve about 10 statements at once; more only queue inside Postgres. */
const POOL_SIZE = 10;
/** Connections for what may not wait behind requests. */
const ASIDE_POOL_SIZE = 2;
/** To a replica, for a few long statements at a time. */
const READ_POOL_SIZE = 4;
/** Of them for statements on somebody's behalf: tenants' requests, and what operators change. Opened when they are needed. */
const TENANT_SESSIONS = 4;
const OPERATOR_SESSIONS = 2;
const CONNECT_TIMEOUT_S = 5;
/** How long a caller waits for Postgres before it is told that it is away. */
const CALL_TIMEOUT_MS = 12_000;

// One statement a connection at a time: behind one that waits for a lock, others would wait too. The driver knows the option, its types do not.
// It counts those behind the one that runs: with 1, a second is sent along, and PgBouncer 1.18 answers that one to somebody else.
const UNDOCUMENTED = { max_pipeline: 0 };

export interface Postgres {
  /** Postgres as the house itself sees it: every account's rows. */
  db: Db;
  /**
   * The same on connections of its own, for signs of life and what others wait for: in a line with a thousand requests a process was silent for
   * so long that the others went on without what it held.
   */
  aside: Db;
  /**
   * Postgres as whoever sent the present request may see it: a tenant sees the rows of its own account, whatever the statement says, and
   * what changes is put down to the key that asked. Outside a request the same as `db`.
   */
  walled: Db;
  /** The same for what only reads and reads much: a replica's, where there is one. */
  reads: Db;
  /** Resolves when connections are set as they must be; throws an Error that says what a pooler does not set. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

export interface PostgresOptions {
  poolSize?: number;
  /**
   * A pooler in transaction mode before the same database: whatever is asked on nobody's behalf goes through it. Sessions that know whom they
   * work for, and listeners, need a server of their own: they go to `url`.
   */
  pooledUrl?: string | null;
  /** A replica of the same database, which may be behind or away. */
  readUrl?: string | null;
}

/**
 * Opens a pool. Quantities come as `bigint`, never as doubles. Whatever must be atomic is one statement:
 * postgres.js can report a transaction as done whose backend died in the middle (docs/decisions/0004).
 */
export function openPostgres(url: string, { poolSize = POOL_SIZE, pooledUrl = null, readUrl = null }: PostgresOptions = {}): Postgres {
  const primary = openWay(url, poolSize, pooledUrl);
  const aside = openWay(url, ASIDE_POOL_SIZE, pooledUrl);
  const replica = readUrl === null ? null : openWay(readUrl, READ_POOL_SIZE, null);
  const reads =
    replica && new Replica({ replica: replica.asked, replicaHouse: replica.house, primary: primary.asked, primaryHouse: primary.house });
  const over = (run: Run): Db => new Kysely<Database>({ dialect: postgresDialect(run) });
  const walled = over(primary.asked);
  return {
    db: over(primary.house),
    aside: over(aside.house),
    walled,
    reads: reads ? over(reads.run) : walled,
    ready: primary.ready,
    close: async () => void (await Promise.all([primary.close(), aside.close(), replica?.close()])),
  };
}

/** The two ways to one server: on nobody's behalf, and on that of whoever sent the present request. */
function openWay(url: string, poolSize: number, pooledUrl: string | null) {
  // A statement that is prepared under a name is known to one connection of the pooler's, and the next use comes to another.
  const prepare = pooledUrl === null;
  const client = connect(pooledUrl ?? url, { max: poolSize, prepare }, prepare ? SETTINGS : {});
  const house = onPool(client, { prepare });
  const behalf = new Behalf(house, (settings) => (onclose) => connect(url, { max: 1, onclose }, { ...SETTINGS, ...settings }));
  return {
    house,
    asked: behalf.run,
    ready: (): Promise<void> => (prepare ? Promise.resolve() : reachPostgres(expectSettings(client))),
    // Not Kysely's destroy: it would wait for ever on a connection whose server is gone.
    close: async (): Promise<void> => void (await Promise.all([client.end({ timeout: 2 }), behalf.close()])),
  };
}

function connect(
  url: string,
  options: { max: number; prepare?: boolean; onclose?: () => void },
  settings: Record<string, string | number>,
): Client {
  return postgres(url, {
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: 60,
    ...UNDOCUMENTED,
    ...options,
    fetch_types: false,
    types: { bigint: postgres.BigInt, ...ARRAY_TYPES },
    // Poolers pass these two on; the others they refuse.
    connection: { application_name: "weir", TimeZone: "UTC", ...settings },
    onnotice: () => {},
  });
}

/** Sends each statement the way that its caller's are sent. */
class Behalf {
  readonly #house: Run;
  readonly #connectWith: (settings: Record<string, string>) => Connect;
  readonly #operators: Sessions;
  #tenants: Sessions | null = null;

  constructor(house: Run, connectWith: (settings: Record<string, string>) => Connect) {
    this.#house = house;
    this.#connectWith = connectWith;
    this.#operators = new Sessions(OPERATOR_SESSIONS, connectWith({ "weir.caller_required": "on" }));
  }

  readonly run: Run = async (sql, parameters) => {
    const caller = currentCaller();
    if (caller === null || (caller.account === null && !caller.changes)) return this.#house(sql, parameters);
    const sessions = caller.account === null ? this.#operators : (this.#tenants ?? (await this.#openTenants()));
    return sessions.run(caller, sql, parameters);
  };

  async close(): Promise<void> {
    await Promise.all([this.#operators.close(), this.#tenants?.close()]);
  }

  /** Where the role is not there, or not for this user, there is no second wall; the doctor says so. */
  async #openTenants(): Promise<Sessions> {
    const [row] = await this.#house(
      "select exists (select from pg_roles where rolname = $1 and pg_has_role(current_user, oid, 'MEMBER')) as wall",
      [TENANT_ROLE],
    );
    const role: Record<string, string> = row?.["wall"] === true ? { role: TENANT_ROLE } : {};
    this.#tenants ??= new Sessions(TENANT_SESSIONS, this.#connectWith({ ...role, "weir.caller_required": "on" }));
    return this.#tenants;
  }
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

/** Awaits a Postgres call; an absent, overloaded or hanging server becomes `503 unavailable`, other errors pass. */
export async function reachPostgres<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable("Postgres")), CALL_TIMEOUT_MS);
  });
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    if (error instanceof WeirError || !isAway(error)) throw error;
    throw unavailable("Postgres", error);
  } finally {
    clearTimeout(timer);
  }
}
