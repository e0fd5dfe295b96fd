import type { SqliteFile } from "./sqlite-file.ts";

/** One object of a namespace. Times are epoch milliseconds. */
export interface ObjectEntry {
  objectKey: string;
  storageBytes: number;
  createdAt: number;
  /** Of the last write, exactly; of the last read, to the minute. */
  lastSeenAt: number;
}

/** A read moves `lastSeenAt` only when it is older than this, milliseconds: a read should not cost a write each time. */
const SEEN_STEP_MS = 60_000;

/**
 * The objects of one namespace, in key order, with the sum of their bytes kept by triggers: listing and totals cost
 * the same with ten objects and with a million.
 *
 * `creating` is the index's promise to look: a name is put there before the object's file appears and leaves it in the
 * transaction that lists the object. After a crash in between, what lies on the disk decides.
 *
 * `rooms` remembers how far an object's WebSocket messages have come, since 20 of them are one request. An object with sockets need not
 * have values, so it stands beside `objects`.
 */
export const INDEX_SCHEMA = `
  create table if not exists objects (
    object       text    primary key,
    storage      integer not null,
    created_at   integer not null,
    last_seen_at integer not null
  ) strict, without rowid;
  create table if not exists creating (object text primary key) strict, without rowid;
  create table if not exists rooms (object text primary key, messages integer not null) strict, without rowid;
  create table if not exists totals (storage integer not null) strict;
  insert into totals select 0 where not exists (select 1 from totals);
  create trigger if not exists objects_added after insert on objects
    begin update totals set storage = storage + new.storage; end;
  create trigger if not exists objects_resized after update of storage on objects
    begin update totals set storage = storage + new.storage - old.storage; end;
  create trigger if not exists objects_removed after delete on objects
    begin update totals set storage = storage - old.storage; end;
`;

/** Announces an object whose file is about to appear. Durable only after `flush`. */
export function announceObject(index: SqliteFile, object: string): void {
  index.statement("insert or ignore into creating values (?)").run(object);
}

/** Names announced and not listed yet. */
export const announcedObjects = (index: SqliteFile, limit: number): string[] =>
  index
    .statement("select object from creating order by object limit ?")
    .all(limit)
    .map((row) => String(row["object"]));

const LIST_OBJECT = `
  insert into objects (object, storage, created_at, last_seen_at) values (?1, ?2, ?3, ?3)
  on conflict (object) do update set storage = excluded.storage, last_seen_at = max(last_seen_at, excluded.last_seen_at)`;

/** Lists the object as it is on disk, new or not. */
export function recordObject(index: SqliteFile, object: string, storage: number, now: number): void {
  index.change(() => {
    index.statement(LIST_OBJECT).run(object, storage, now);
    index.statement("delete from creating where object = ?").run(object);
  });
}

/** Corrects the size after a crash between an object's commit and its note here; true when it was wrong or missing. */
export function correctObject(index: SqliteFile, object: string, storage: number, now: number): boolean {
  const row = index.statement("select storage from objects where object = ?").get(object);
  if (row && Number(row["storage"]) === storage) return false;
  if (row) index.statement("update objects set storage = ? where object = ?").run(storage, object);
  else recordObject(index, object, storage, now);
  return true;
}

const SEE = "update objects set last_seen_at = ?2 where object = ?1 and last_seen_at <= ?2 - ?3";

/** Notes that the object was read. */
export function seeObject(index: SqliteFile, object: string, now: number): void {
  index.statement(SEE).run(object, now, SEEN_STEP_MS);
}

/** Strikes the object off the index. */
export function forgetObject(index: SqliteFile, object: string): void {
  index.change(() => {
    index.statement("delete from objects where object = ?").run(object);
    index.statement("delete from creating where object = ?").run(object);
  });
}

const LIST = "select object, storage, created_at, last_seen_at from objects where object > ? order by object limit ?";

/** At most `limit` objects after the name `after`, in key order. */
export function listIndexed(index: SqliteFile, after: string, limit: number): ObjectEntry[] {
  return index
    .statement(LIST)
    .all(after, limit)
    .map((row) => ({
      objectKey: String(row["object"]),
      storageBytes: Number(row["storage"]),
      createdAt: Number(row["created_at"]),
      lastSeenAt: Number(row["last_seen_at"]),
    }));
}

/** WebSocket messages that the object had taken when its last room closed. */
export const messagesTaken = (index: SqliteFile, object: string): number =>
  Number(index.statement("select messages from rooms where object = ?").get(object)?.["messages"] ?? 0);

const TAKE = "insert into rooms (object, messages) values (?, ?) on conflict (object) do update set messages = excluded.messages";

/** Notes how many messages the object has taken. */
export function noteMessages(index: SqliteFile, object: string, messages: number): void {
  index.statement(TAKE).run(object, messages);
}

/** Bytes of all objects together. */
export const totalStorage = (index: SqliteFile): number => Number(index.statement("select storage from totals").get()?.["storage"]);
