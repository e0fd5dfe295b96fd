import { sql } from "kysely";
import { iso, type Period, type Window } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";
import type { AnsweredKey, BucketTotal, GaugeBucket, ObjectLevel } from "./bucket.ts";

/** Rows in one statement: 10,000 took 50 ms where this was measured, and a statement holds its accounts' locks that long. */
export const BOOK_ROWS_MAX = 5_000;

const BOOK_USAGE = loadQuery("book-usage");
const BOOK_LEVELS = loadQuery("book-object-levels");
const BOOK_GAUGES = loadQuery("book-gauges");

/** Months that are known to have their partition, of each database: of two in one process the second kept a year of rows in its default partition. */
const knownPartitions = new WeakMap<Db, Set<string>>();

/** An account's foreign_seq as it stood when its usage was booked; where it rose by that, the present epoch must be told of new sums. */
export interface BookedAccount {
  account: string;
  foreignSeq: number;
  rose: boolean;
}

/** Books totals (none twice) and the idempotency keys of the operations they count, at once or not at all. */
export async function bookUsage(db: Db, totals: readonly BucketTotal[], keys: readonly AnsweredKey[]): Promise<BookedAccount[]> {
  if (totals.length === 0 && keys.length === 0) return [];
  const { labels, places } = labelled(totals);
  await ensurePartitions(
    db,
    labels.map((l) => l.bucket),
  );
  const rows = await runQuery<{ account: string; foreign_seq: bigint; rose: boolean }>(db, BOOK_USAGE, [
    [...new Set([...totals, ...keys].map(({ account }) => account))],
    labels.map((l) => iso(l.bucket)),
    labels.map((l) => l.meter),
    labels.map((l) => l.service),
    labels.map((l) => l.namespace),
    labels.map((l) => l.epoch),
    labels.map((l) => l.source),
    totals.map((t) => t.account),
    places,
    totals.map((t) => t.quantity),
    keys.map((k) => k.account),
    keys.map((k) => k.keyHash.toString("base64")),
    keys.map((k) => k.answer.toString("base64")),
    keys.map((k) => iso(k.at)),
  ]);
  return rows.map(({ account, foreign_seq, rose }) => ({ account, foreignSeq: Number(foreign_seq), rose }));
}

/**
 * All of a total but whose it is and how much, each once, and by total its place among them from 1: a process counts the same few meters
 * for all accounts, and to send and read them with every row was a fifth of what booking took.
 */
function labelled(totals: readonly BucketTotal[]): { labels: BucketTotal[]; places: number[] } {
  const known = new Map<string, number>();
  const labels: BucketTotal[] = [];
  const places = totals.map((total) => {
    const { epoch, source, bucket, service, namespace, meter } = total;
    const label = `${epoch}/${source}/${bucket}/${service}/${namespace}/${meter}`;
    let place = known.get(label);
    if (place === undefined) known.set(label, (place = labels.push(total)));
    return place;
  });
  return { labels, places };
}

/** Books object sizes (at most BOOK_ROWS_MAX, no object twice). */
export async function bookObjectLevels(db: Db, levels: readonly ObjectLevel[]): Promise<void> {
  if (levels.length === 0) return;
  const column = <T>(of: (l: ObjectLevel) => T): T[] => levels.map(of);
  await runQuery(db, BOOK_LEVELS, [
    column((l) => l.account),
    column((l) => l.meter),
    column((l) => l.service),
    column((l) => l.namespace),
    column((l) => l.object),
    column((l) => String(l.bytes)),
    column((l) => String(l.epoch)),
    column((l) => String(l.seq)),
    column((l) => iso(l.at)),
  ]);
}

/** Books buckets of gauges (at most BOOK_ROWS_MAX, no bucket of an epoch twice). */
export async function bookGauges(db: Db, gauges: readonly GaugeBucket[]): Promise<void> {
  if (gauges.length === 0) return;
  const column = <T>(of: (g: GaugeBucket) => T): T[] => gauges.map(of);
  await runQuery(db, BOOK_GAUGES, [
    column((g) => g.account),
    column((g) => g.meter),
    column((g) => iso(g.bucket)),
    column((g) => String(g.epoch)),
    column((g) => iso(g.from)),
    column((g) => iso(g.until)),
    column((g) => String(g.byteMilliseconds)),
    column((g) => String(g.level)),
    column((g) => String(g.seq)),
  ]);
}

/** The booked answer of an idempotency key, null where there is none. */
export async function bookedAnswer(db: Db, account: string, keyHash: Buffer): Promise<Buffer | null> {
  const row = await reachPostgres(
    db.selectFrom("idempotency_keys").select("answer").where("account", "=", account).where("key_hash", "=", keyHash).executeTakeFirst(),
  );
  return row?.answer ?? null;
}

/** Forgets keys answered before `before`, at most `limit` of them; answers how many. */
export async function forgetKeys(db: Db, before: number, limit: number): Promise<number> {
  const { numAffectedRows } = await reachPostgres(
    sql`delete from idempotency_keys where (account, key_hash) in
        (select account, key_hash from idempotency_keys where answered_at < ${iso(before)}::timestamptz limit ${limit})`.execute(db),
  );
  return Number(numAffectedRows ?? 0n);
}

/** Makes the monthly partitions that hold `times`, each once. */
export async function ensurePartitions(db: Db, times: readonly number[]): Promise<void> {
  const known = knownPartitions.get(db) ?? new Set();
  knownPartitions.set(db, known);
  for (const month of new Set(times.map((t) => iso(t).slice(0, 7)))) {
    if (known.has(month)) continue;
    await reachPostgres(sql`select weir_ensure_partition(${`${month}-01T00:00:00Z`}::timestamptz)`.execute(db));
    known.add(month);
  }
}

export interface BookedSums {
  foreignSeq: number;
  /** By meter: what epochs other than the asked one have booked in the two windows. */
  meters: Map<string, Record<Period, number>>;
  /** By gauge: the sum of its objects' levels. */
  levels: Map<string, number>;
  hasObjects: boolean;
}

/** Sums of everything booked outside `epoch`, with the sequence number they are true for: one statement, so one snapshot. */
export async function bookedElsewhere(db: Db, account: string, epoch: number, windows: Record<Period, Window>): Promise<BookedSums> {
  const { day, month } = windows;
  const { rows } = await reachPostgres(
    sql<{ foreign_seq: bigint; counters: [string, number, number][] | null; levels: [string, number, number][] | null }>`
      select a.foreign_seq,
        (select json_agg(json_build_array(b.meter, b.day_quantity, b.month_quantity))
         from weir_booked_elsewhere(${account}, ${epoch}, ${iso(day.start)}, ${iso(day.end)}, ${iso(month.start)}, ${iso(month.end)}) b) as counters,
        (select json_agg(json_build_array(l.meter, l.bytes, l.objects))
         from (select o.meter, sum(o.bytes) as bytes, count(*) as objects from object_levels o where o.account = ${account} group by o.meter) l) as levels
      from accounts a where a.account = ${account}`.execute(db),
  );
  const row = rows[0];
  return {
    foreignSeq: Number(row?.foreign_seq ?? 0),
    meters: new Map((row?.counters ?? []).map(([meter, d, m]) => [meter, { day: d, month: m }])),
    levels: new Map((row?.levels ?? []).map(([meter, bytes]) => [meter, bytes])),
    hasObjects: (row?.levels ?? []).length > 0,
  };
}

/** The booked size of one object, 0 where there is none. */
export async function objectLevel(
  db: Db,
  account: string,
  meter: string,
  place: { service: string; namespace: string; object: string },
): Promise<number> {
  const row = await reachPostgres(
    db
      .selectFrom("object_levels")
      .select("bytes")
      .where("account", "=", account)
      .where("meter", "=", meter)
      .where("service", "=", place.service)
      .where("namespace", "=", place.namespace)
      .where("object", "=", place.object)
      .executeTakeFirst(),
  );
  return Number(row?.bytes ?? 0);
}

/** What an account that is loaded has to be up with. */
export interface AccountStanding {
  /** Its last life in Redis. */
  epoch: number;
  /** How often usage was booked behind that life's back. */
  foreignSeq: number;
  limitsVersion: number;
}

/** Null where the account is gone. */
export async function standingOf(db: Db, account: string): Promise<AccountStanding | null> {
  const row = await reachPostgres(
    db.selectFrom("accounts").select(["epoch", "foreign_seq", "limits_version"]).where("account", "=", account).executeTakeFirst(),
  );
  return row ? { epoch: Number(row.epoch), foreignSeq: Number(row.foreign_seq), limitsVersion: Number(row.limits_version) } : null;
}

/** How often usage was booked behind the back of each account's present epoch. */
export async function foreignSeqs(db: Db, accounts: readonly string[]): Promise<Map<string, number>> {
  if (accounts.length === 0) return new Map();
  const rows = await reachPostgres(db.selectFrom("accounts").select(["account", "foreign_seq"]).where("account", "in", accounts).execute());
  return new Map(rows.map((row) => [row.account, Number(row.foreign_seq)]));
}
