import { sql } from "kysely";
import { monotonicMs, type Clock } from "../kernel/clock.ts";
import { reachPostgres, type Db } from "./database.ts";
import { migrationFiles, migrationNames } from "./migrate.ts";
import { TENANT_ROLE } from "./sessions.ts";

/** What Postgres says of itself and of its schema. */
export interface PostgresFacts {
  version: string;
  /** One round trip, milliseconds. */
  latencyMs: number;
  /** Migrations that have run, oldest first. */
  applied: string[];
  /** Files of this program that have not run. */
  pending: string[];
  /** Files that have changed since they ran. */
  changed: string[];
  /** Migrations of a newer program. */
  unknown: string[];
  /** Tenants' requests run as a role that sees one account's rows (sql/migrations/0025). */
  walled: boolean;
  /** Settings that are off, of those that keep what was committed through a crash of its machine. */
  unsafe: string[];
  /** How far its clock is ahead of ours, milliseconds. */
  aheadMs: number;
}

/** Any of them off, and a crash of the machine can lose what was committed, or leave half a page. */
const SAFETY = ["fsync", "full_page_writes", "synchronous_commit"];

const TRIPS = 5;

/** Asks the database about itself; throws `unavailable`. */
export async function postgresFacts(db: Db, clock: Clock): Promise<PostgresFacts> {
  await reachPostgres(sql`select 1`.execute(db));
  const from = monotonicMs();
  const version = await reachPostgres(sql<{ server_version: string }>`show server_version`.execute(db));
  const latencyMs = monotonicMs() - from;
  const off = await reachPostgres(
    sql<{ name: string }>`select name from pg_settings where name = any(${SAFETY}::text[]) and setting = 'off' order by name`.execute(db),
  );
  const ran = await reachPostgres(
    sql<{ name: string; sha256: string }>`select name, sha256 from weir_migrations order by name`.execute(db),
  );
  const hashes = new Map(ran.rows.map((row) => [row.name, row.sha256]));
  const files = migrationFiles();
  return {
    version: version.rows[0]?.server_version ?? "of unknown version",
    latencyMs,
    applied: [...hashes.keys()],
    pending: files.filter((file) => !hashes.has(file.name)).map((file) => file.name),
    changed: files.filter((file) => hashes.has(file.name) && hashes.get(file.name) !== file.sha256).map((file) => file.name),
    walled: await hasWall(db),
    unsafe: off.rows.map(({ name }) => name),
    aheadMs: await aheadMs(db, clock),
    unknown: [...hashes.keys()].filter((name) => !files.some((file) => file.name === name)),
  };
}

/** Files of this program that have not run on this database; throws `unavailable`. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const { rows } = await reachPostgres(sql<{ name: string }>`select name from weir_migrations`.execute(db));
  const ran = new Set(rows.map(({ name }) => name));
  return migrationNames().filter((name) => !ran.has(name));
}

/** By the shortest of a few round trips: half of it is as far as this can be wrong. */
async function aheadMs(db: Db, clock: Clock): Promise<number> {
  let best = { tripMs: Infinity, ms: 0 };
  for (let i = 0; i < TRIPS; i++) {
    const [since, from] = [monotonicMs(), clock.now()];
    const { rows } = await reachPostgres(sql<{ at: Date }>`select clock_timestamp() as at`.execute(db));
    const between = Math.round((from + clock.now()) / 2);
    const tripMs = monotonicMs() - since;
    if (tripMs < best.tripMs) best = { tripMs, ms: (rows[0]?.at.getTime() ?? between) - between };
  }
  return best.ms;
}

async function hasWall(db: Db): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ wall: boolean }>`
      select exists (select from pg_roles where rolname = ${TENANT_ROLE} and pg_has_role(current_user, oid, 'MEMBER')) as wall`.execute(db),
  );
  return rows[0]?.wall ?? false;
}
