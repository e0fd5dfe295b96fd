/**
 * What operations on one object count, as data: whoever meters a data plane by Weir's table (the reference data plane over HTTP, an
 * adapter) is run through these. `run.ts` runs them; this file only says what must come out.
 *
 * Every vector begins on a fresh object of a fresh account. `before` is done first and not measured; then `steps` are done in order, and
 * the counters they moved must be exactly `counts`: a meter that is not named must not move.
 */

/** What a data plane must be able to do for a vector to be asked of it. */
export type Feature = "values" | "clear" | "keys" | "objects" | "alarms" | "sockets" | "sql";

export type Step =
  | { do: "put"; key: string; value: string }
  | { do: "get"; key: string }
  | { do: "delete"; key: string }
  /** Removes every key of the object in one operation. */
  | { do: "clear" }
  | { do: "keys" }
  | { do: "objects" }
  | { do: "alarm-set"; delaySeconds: number }
  | { do: "alarm-get" }
  | { do: "alarm-delete" }
  /** Lets the next attempt of the alarm fall due; its handler takes `wallMs` and answers `handler`. */
  | { do: "alarm-due"; handler: "ok" | "fails"; wallMs: number }
  | { do: "socket-open" }
  /** Sends `count` messages over one socket and waits until each has been counted. */
  | { do: "messages"; count: number }
  /** Keeps the socket open for so long, then closes it. */
  | { do: "socket-close"; afterMs: number }
  /** One statement against the object's own database. */
  | { do: "sql"; statement: string };

/** How a step ends: done, the key or alarm was not there, or a limit refused it. */
export type Outcome = "ok" | "missing" | "denied";

export interface Vector {
  id: string;
  feature: Feature;
  before: readonly Step[];
  /** Caps the meter, after `before`, so that `left` of it remains. */
  capped?: { meter: Meter; left: number };
  steps: readonly Step[];
  counts: Readonly<Partial<Record<Meter, number>>>;
  /** How the last step ends; "ok" unless it says otherwise. */
  ends?: Outcome;
  /** What a key holds afterwards; null for nothing. */
  holds?: { key: string; value: string | null };
}

export type Meter = "state_requests" | "state_duration_gb_milliseconds" | "state_sqlite_rows_read" | "state_sqlite_rows_written";

const put = (key: string, value = "1"): Step => ({ do: "put", key, value });
const puts = (n: number): Step[] => Array.from({ length: n }, (_, i) => put(`k${i}`));
const get = (key: string): Step => ({ do: "get", key });
const remove = (key: string): Step => ({ do: "delete", key });
const alarm: Step = { do: "alarm-set", delaySeconds: 60 };
const due = (handler: "ok" | "fails", wallMs = 0): Step => ({ do: "alarm-due", handler, wallMs });
const messages = (count: number): Step => ({ do: "messages", count });
const sql = (statement: string): Step => ({ do: "sql", statement });

const requests = (n: number) => ({ state_requests: n });
const read = (n: number, calls = 1) => ({ ...requests(calls), state_sqlite_rows_read: n });
const written = (n: number, calls = 1) => ({ ...requests(calls), state_sqlite_rows_written: n });
/** Wall time × 0.128 GB, rounded up. */
const awake = (ms: number) => ({ state_duration_gb_milliseconds: Math.ceil((ms * 128) / 1_000) });

const values: readonly Omit<Vector, "feature">[] = [
  { id: "put-new", before: [], steps: [put("a")], counts: written(1), holds: { key: "a", value: "1" } },
  { id: "put-second-key", before: [put("a")], steps: [put("b")], counts: written(1) },
  { id: "put-over", before: [put("a", "old")], steps: [put("a", "new")], counts: written(1), holds: { key: "a", value: "new" } },
  { id: "put-same-value", before: [put("a", "x")], steps: [put("a", "x")], counts: written(1) },
  { id: "put-large", before: [], steps: [put("a", "x".repeat(100_000))], counts: written(1) },
  { id: "put-empty-value", before: [], steps: [put("a", "")], counts: written(1), holds: { key: "a", value: "" } },
  { id: "get-hit", before: [put("a")], steps: [get("a")], counts: read(1) },
  { id: "get-large", before: [put("a", "x".repeat(100_000))], steps: [get("a")], counts: read(1) },
  { id: "get-miss", before: [put("a")], steps: [get("b")], counts: requests(1), ends: "missing" },
  { id: "get-of-nothing", before: [], steps: [get("a")], counts: requests(1), ends: "missing" },
  { id: "delete-hit", before: [put("a")], steps: [remove("a")], counts: written(1), holds: { key: "a", value: null } },
  { id: "delete-miss", before: [put("a")], steps: [remove("b")], counts: requests(1), ends: "missing" },
  { id: "delete-twice", before: [put("a")], steps: [remove("a"), remove("a")], counts: written(1, 2), ends: "missing" },
  {
    id: "put-denied-by-rows",
    before: [put("a", "old")],
    capped: { meter: "state_sqlite_rows_written", left: 0 },
    steps: [put("a", "new")],
    counts: {},
    ends: "denied",
    holds: { key: "a", value: "old" },
  },
  {
    id: "put-denied-by-requests",
    before: [put("a", "old")],
    capped: { meter: "state_requests", left: 0 },
    steps: [put("a", "new")],
    counts: {},
    ends: "denied",
  },
  {
    id: "put-reaches-the-limit",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_written", left: 2 },
    steps: [put("a", "2"), put("a", "3")],
    counts: written(2, 2),
    holds: { key: "a", value: "3" },
  },
  {
    id: "put-past-the-limit",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_written", left: 1 },
    steps: [put("a", "2"), put("a", "3")],
    counts: written(1),
    ends: "denied",
    holds: { key: "a", value: "2" },
  },
  {
    id: "put-new-denied",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_written", left: 0 },
    steps: [put("b")],
    counts: {},
    ends: "denied",
    holds: { key: "b", value: null },
  },
  {
    id: "get-denied",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_read", left: 0 },
    steps: [get("a")],
    counts: {},
    ends: "denied",
  },
  {
    id: "get-miss-needs-no-row",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_read", left: 0 },
    steps: [get("b")],
    counts: requests(1),
    ends: "missing",
  },
  {
    id: "delete-denied",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_written", left: 0 },
    steps: [remove("a")],
    counts: {},
    ends: "denied",
    holds: { key: "a", value: "1" },
  },
  {
    id: "delete-miss-needs-no-row",
    before: [put("a")],
    capped: { meter: "state_sqlite_rows_written", left: 0 },
    steps: [remove("b")],
    counts: requests(1),
    ends: "missing",
  },
];

const clear: readonly Omit<Vector, "feature">[] = [
  { id: "clear-three", before: puts(3), steps: [{ do: "clear" }], counts: written(3), holds: { key: "k0", value: null } },
  { id: "clear-empty", before: [put("a"), remove("a")], steps: [{ do: "clear" }], counts: written(1) },
];

const keys: readonly Omit<Vector, "feature">[] = [
  { id: "keys-of-one", before: [put("a")], steps: [{ do: "keys" }], counts: read(1) },
  { id: "keys-of-seven", before: puts(7), steps: [{ do: "keys" }], counts: read(7) },
  { id: "keys-of-none", before: [put("a"), remove("a")], steps: [{ do: "keys" }], counts: read(1) },
  {
    id: "keys-denied",
    before: puts(3),
    capped: { meter: "state_sqlite_rows_read", left: 2 },
    steps: [{ do: "keys" }],
    counts: {},
    ends: "denied",
  },
];

const objects: readonly Omit<Vector, "feature">[] = [
  { id: "objects-of-one", before: [put("a")], steps: [{ do: "objects" }], counts: read(1) },
  { id: "objects-of-none", before: [], steps: [{ do: "objects" }], counts: read(1) },
];

const alarms: readonly Omit<Vector, "feature">[] = [
  { id: "alarm-set", before: [], steps: [alarm], counts: written(1) },
  { id: "alarm-set-again", before: [alarm], steps: [alarm], counts: written(1) },
  { id: "alarm-get", before: [alarm], steps: [{ do: "alarm-get" }], counts: read(1) },
  { id: "alarm-get-none", before: [], steps: [{ do: "alarm-get" }], counts: read(1), ends: "missing" },
  { id: "alarm-delete", before: [alarm], steps: [{ do: "alarm-delete" }], counts: written(1) },
  { id: "alarm-delete-none", before: [], steps: [{ do: "alarm-delete" }], counts: written(1), ends: "missing" },
  {
    id: "alarm-set-denied",
    before: [],
    capped: { meter: "state_sqlite_rows_written", left: 0 },
    steps: [alarm],
    counts: {},
    ends: "denied",
  },
  { id: "alarm-delivery", before: [alarm], steps: [due("ok")], counts: requests(1) },
  { id: "alarm-delivery-takes-time", before: [alarm], steps: [due("ok", 5_000)], counts: { ...requests(1), ...awake(5_000) } },
  { id: "alarm-delivery-rounds-up", before: [alarm], steps: [due("ok", 1)], counts: { ...requests(1), ...awake(1) } },
  { id: "alarm-retried-once", before: [alarm], steps: [due("fails"), due("ok")], counts: requests(2) },
  {
    id: "alarm-cleared-after-six-retries",
    before: [alarm],
    steps: [...Array.from({ length: 7 }, () => due("fails")), { do: "alarm-get" }],
    counts: read(1, 8),
    ends: "missing",
  },
  {
    id: "alarm-delivery-denied",
    before: [alarm],
    capped: { meter: "state_requests", left: 0 },
    steps: [due("ok")],
    counts: {},
    ends: "denied",
  },
];

const sockets: readonly Omit<Vector, "feature">[] = [
  { id: "socket-open", before: [], steps: [{ do: "socket-open" }], counts: requests(1) },
  { id: "socket-1-message", before: [{ do: "socket-open" }], steps: [messages(1)], counts: requests(1) },
  { id: "socket-20-messages", before: [{ do: "socket-open" }], steps: [messages(20)], counts: requests(1) },
  { id: "socket-21-messages", before: [{ do: "socket-open" }], steps: [messages(21)], counts: requests(2) },
  { id: "socket-19-more-are-free", before: [{ do: "socket-open" }, messages(1)], steps: [messages(19)], counts: {} },
  { id: "socket-next-20", before: [{ do: "socket-open" }, messages(20)], steps: [messages(20)], counts: requests(1) },
  { id: "socket-duration", before: [{ do: "socket-open" }], steps: [{ do: "socket-close", afterMs: 10_000 }], counts: awake(10_000) },
  {
    id: "socket-denied",
    before: [],
    capped: { meter: "state_requests", left: 0 },
    steps: [{ do: "socket-open" }],
    counts: {},
    ends: "denied",
  },
  {
    id: "socket-message-denied",
    before: [{ do: "socket-open" }, messages(20)],
    capped: { meter: "state_requests", left: 0 },
    steps: [messages(1)],
    counts: {},
    ends: "denied",
  },
];

const users = sql("create table users (id integer primary key, name text)");
const indexed = sql("create index users_by_name on users (name)");
const insert = (id: number): Step => sql(`insert into users values (${id}, 'n')`);

/** A statement is one call; rows read are the rows it gives back, rows written those it changed (SQLite's total_changes). */
const statements: readonly Omit<Vector, "feature">[] = [
  { id: "sql-insert-by-primary-key", before: [users], steps: [insert(1)], counts: written(1) },
  { id: "sql-insert-with-index", before: [users, indexed], steps: [insert(1)], counts: written(1) },
  { id: "sql-overwrite", before: [users, insert(1)], steps: [sql("update users set name = 'm' where id = 1")], counts: written(1) },
  { id: "sql-insert-two", before: [users], steps: [sql("insert into users values (1, 'a'), (2, 'b')")], counts: written(2) },
  { id: "sql-delete", before: [users, insert(1)], steps: [sql("delete from users where id = 1")], counts: written(1) },
  { id: "sql-delete-missing", before: [users], steps: [sql("delete from users where id = 1")], counts: requests(1) },
  { id: "sql-select-two", before: [users, insert(1), insert(2)], steps: [sql("select * from users")], counts: read(2) },
  { id: "sql-select-missing", before: [users], steps: [sql("select * from users where id = 1")], counts: requests(1) },
  {
    id: "sql-trigger",
    before: [
      users,
      sql("create table log (id integer)"),
      sql("create trigger logged after insert on users begin insert into log values (new.id); end"),
    ],
    steps: [insert(1)],
    counts: written(2),
  },
  {
    id: "sql-denied",
    before: [users],
    capped: { meter: "state_sqlite_rows_written", left: 1 },
    steps: [sql("insert into users values (1, 'a'), (2, 'b')")],
    counts: {},
    ends: "denied",
  },
];

const of = (feature: Feature, vectors: readonly Omit<Vector, "feature">[]): Vector[] => vectors.map((vector) => ({ ...vector, feature }));

export const VECTORS: readonly Vector[] = [
  ...of("values", values),
  ...of("clear", clear),
  ...of("keys", keys),
  ...of("objects", objects),
  ...of("alarms", alarms),
  ...of("sockets", sockets),
  ...of("sql", statements),
];
