import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";

/** Columns that a refusal may change: that a key was used is no state of an account. */
const FREE_COLUMNS = new Set(["last_used_at"]);
/** Written by the process on its own time: that it lives, and the counts of what it acknowledged before. */
const FREE_TABLES = ["sources", "object_request_batches"];
/** A list of denials that people are shown; nothing is decided by it, and a denied State write belongs into it. */
const DENIALS_KEY = /\}:d:/;
/** Keys of accounts; others are BullMQ's, or a process' own. */
const ACCOUNT_KEY = /\{\d+\}:[a-z]:/;
const SCAN_COUNT = 1_000;

/** What there is of each table, Redis key and State file, as a hash. */
export type Digest = ReadonlyMap<string, string>;

/** Reads everything that a refused request could have changed, but for what belongs to `others`, who work on meanwhile. */
export class Digester {
  readonly #sql: postgres.Sql;
  readonly #redis: Redis;
  readonly #stateDir: string;
  readonly #others: readonly string[];
  #statements: { table: string; text: string }[] | null = null;

  constructor(options: { databaseUrl: string; redisUrl: string; stateDir: string; others: readonly string[] }) {
    this.#sql = postgres(options.databaseUrl, { max: 1, onnotice: () => {} });
    this.#redis = new Redis(options.redisUrl, { protocol: 2 });
    this.#stateDir = options.stateDir;
    this.#others = options.others;
  }

  async take(): Promise<Digest> {
    const found = new Map<string, string>();
    for (const { table, text } of await this.#allStatements()) {
      const [row] = await this.#sql.unsafe<{ hash: string }[]>(text);
      found.set(`table ${table}`, row?.hash ?? "");
    }
    await this.#addRedis(found);
    for (const file of filesIn(this.#stateDir)) found.set(`file ${file}`, hashOf(readFileSync(join(this.#stateDir, file))));
    return found;
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    await this.#sql.end();
  }

  async #allStatements(): Promise<{ table: string; text: string }[]> {
    this.#statements ??= await this.#makeStatements();
    return this.#statements;
  }

  /** Partitions are read through the table they are of. */
  async #makeStatements(): Promise<{ table: string; text: string }[]> {
    const columns = await this.#sql<{ table: string; column: string }[]>`
      SELECT c.relname AS table, a.attname AS column
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL (${FREE_TABLES})
      ORDER BY 1, a.attnum`;
    const others = this.#others.map((account) => `'${account}'`).join();
    return [...Map.groupBy(columns, ({ table }) => table)].map(([table, of]) => {
      const names = of.map(({ column }) => column);
      const kept = names.filter((name) => !FREE_COLUMNS.has(name)).map((name) => `"${name}"`);
      const filter = names.includes("account") ? ` WHERE account IS NULL OR account NOT IN (${others})` : "";
      const rows = `SELECT md5(t::text) AS row FROM (SELECT ${kept.join()} FROM "${table}"${filter}) t`;
      return { table, text: `SELECT md5(coalesce(string_agg(row, '' ORDER BY row), '')) AS hash FROM (${rows}) r` };
    });
  }

  async #addRedis(found: Map<string, string>): Promise<void> {
    const keys: string[] = [];
    for (let cursor = "0"; ;) {
      const [next, some] = await this.#redis.scan(cursor, "COUNT", SCAN_COUNT);
      keys.push(...some.filter((key) => this.#isWatched(key)));
      if (next === "0") break;
      cursor = next;
    }
    const names = [...new Set(keys)];
    const pipeline = this.#redis.pipeline();
    for (const name of names) pipeline.dumpBuffer(name);
    const dumps = (await pipeline.exec()) ?? [];
    for (const [i, name] of names.entries()) {
      const dump = dumps[i]?.[1];
      if (Buffer.isBuffer(dump)) found.set(`key ${name}`, hashOf(dump));
    }
  }

  #isWatched(key: string): boolean {
    return ACCOUNT_KEY.test(key) && !DENIALS_KEY.test(key) && !this.#others.some((account) => key.includes(`:${account}`));
  }
}

/** What is not the same in both. */
export function differences(before: Digest, after: Digest): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name));
}

/** SQLite's index of its own log is a view of the log, and changes when somebody reads. */
const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("-shm"))
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1));

const hashOf = (bytes: Buffer): string => createHash("sha1").update(bytes).digest("hex");
