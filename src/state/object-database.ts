import { DatabaseSync } from "node:sqlite";
import { type SqliteFile, storageBytes } from "./sqlite-file.ts";

/** One key of an object, without its value. Times are epoch milliseconds. */
export interface Entry {
  key: string;
  valueSizeBytes: number;
  createdAt: number;
  updatedAt: number;
}

/** The real names of an object: its file is named by their hash. */
export interface ObjectNames {
  account: string;
  service: string;
  namespace: string;
  object: string;
}

// The value stands last, so that listing keys never reads a value's overflow pages. Keys sort by their UTF-8 bytes.
const SCHEMA = `
  create table names (account text not null, service text not null, namespace text not null, object text not null) strict;
  create table entries (
    key        text    primary key,
    value_size integer not null,
    created_at integer not null,
    updated_at integer not null,
    value      blob    not null
  ) strict, without rowid;
  pragma user_version = 1;
`;

const PUT = `
  insert into entries (key, value_size, created_at, updated_at, value) values (?1, ?2, ?3, ?3, ?4)
  on conflict (key) do update set value_size = excluded.value_size, updated_at = excluded.updated_at, value = excluded.value
  returning created_at`;

/** Writes the value and answers its entry. */
export function putEntry(file: Pick<SqliteFile, "statement">, key: string, value: Uint8Array, now: number): Entry {
  const row = file.statement(PUT).get(key, value.byteLength, now, value);
  return { key, valueSizeBytes: value.byteLength, createdAt: Number(row?.["created_at"]), updatedAt: now };
}

/** True when there was one to remove. */
export const removeEntry = (file: SqliteFile, key: string): boolean =>
  file.statement("delete from entries where key = ?").run(key).changes === 1;

const GET = "select value_size, created_at, updated_at, value from entries where key = ?";

/** The entry and its value; null for a key that is not there. */
export function getEntry(file: SqliteFile, key: string): { entry: Entry; value: Uint8Array } | null {
  const row = file.statement(GET).get(key);
  return row ? { entry: toEntry({ ...row, key }), value: row["value"] as Uint8Array } : null;
}

const LIST = "select key, value_size, created_at, updated_at from entries where key > ? order by key limit ?";

/** At most `limit` entries after the key `after`, in key order. */
export const listEntries = (file: SqliteFile, after: string, limit: number): Entry[] => file.statement(LIST).all(after, limit).map(toEntry);

const toEntry = (row: Record<string, unknown>): Entry => ({
  key: String(row["key"]),
  valueSizeBytes: Number(row["value_size"]),
  createdAt: Number(row["created_at"]),
  updatedAt: Number(row["updated_at"]),
});

/**
 * The database file of an object that begins with one value, built in memory: its size is known, exactly, before
 * anything of it is on disk, so a denied first write leaves no file behind.
 */
export function newObjectImage(
  names: ObjectNames,
  key: string,
  value: Uint8Array,
  now: number,
): { image: Uint8Array; entry: Entry; bytes: number } {
  const memory = new DatabaseSync(":memory:");
  try {
    memory.exec(SCHEMA);
    memory.prepare("insert into names values (?, ?, ?, ?)").run(names.account, names.service, names.namespace, names.object);
    const source = { statement: (sql: string) => memory.prepare(sql) };
    const entry = putEntry(source, key, value, now);
    return { image: memory.serialize(), entry, bytes: storageBytes(source) };
  } finally {
    memory.close();
  }
}
