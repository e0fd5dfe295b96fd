import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import postgres from "postgres";

const MIGRATIONS = new URL("../../sql/migrations/", import.meta.url);
/** Any constant of our own: all migrators of one database queue on it. */
const MIGRATION_LOCK = 7_193_471_102;

/** The migrations of this program, in order. */
export const migrationNames = (): string[] =>
  readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith(".sql"))
    .sort();

/** The same, each with its text and the hash they are known by once they have run. */
export function migrationFiles(): { name: string; text: string; sha256: string }[] {
  return migrationNames().map((name) => {
    const text = readFileSync(new URL(name, MIGRATIONS), "utf8");
    return { name, text, sha256: createHash("sha256").update(text).digest("hex") };
  });
}

/**
 * Brings a database to the newest schema: plain numbered SQL, forward only, each file in its own transaction, one migrator at
 * a time. Throws when an applied file has changed since, or when the database is ahead of this program.
 */
export async function migrate(databaseUrl: string): Promise<{ applied: string[] }> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => {} });
  try {
    // A session lock, so that it covers every file; it falls with the connection should we die.
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`;
    const done = await ranBefore(sql);
    const files = migrationFiles();
    const ahead = [...done.keys()].filter((name) => !files.some((file) => file.name === name));
    if (ahead.length > 0) throw new Error(`The database is ahead of this Weir: it has ${ahead.join(", ")}. Start a newer Weir.`);
    const applied: string[] = [];
    for (const { name, text, sha256: hash } of files) {
      const before = done.get(name);
      if (before !== undefined && before !== hash)
        throw new Error(`Migration ${name} has changed since it was applied; migrations are forward only.`);
      if (before !== undefined) continue;
      // One simple-protocol message: the file and its mark commit or fail together.
      await sql.unsafe(`begin;\n${text}\ninsert into weir_migrations (name, sha256) values ('${name}', '${hash}');\ncommit;`).simple();
      applied.push(name);
    }
    // Tables that have come stand behind the wall, and are watched, like those that were there.
    if (applied.length > 0) await sql`select weir_watch_tables(), weir_build_walls()`;
    return { applied };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** What has run, with its hash. A user who may not make tables is not asked to where there is nothing to do. */
async function ranBefore(sql: postgres.Sql): Promise<Map<string, string>> {
  const [found] = await sql`select to_regclass('weir_migrations') is not null as there`;
  if (found?.["there"] !== true)
    await sql`create table if not exists weir_migrations (name text primary key, sha256 text not null, applied_at timestamptz not null default now())`;
  return new Map((await sql`select name, sha256 from weir_migrations`).map((r) => [String(r["name"]), String(r["sha256"])]));
}
