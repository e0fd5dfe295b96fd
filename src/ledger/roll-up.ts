import { collect, dirtyAccounts, markBooked, type Collected } from "../counters/collect.ts";
import type { Counters } from "../counters/counters.ts";
import type { Db } from "../stores/database.ts";
import type { BucketTotal, ObjectLevel } from "./bucket.ts";
import { BOOK_ROWS_MAX, bookObjectLevels, bookUsage } from "./ledger-store.ts";

/** Accounts booked together. More make longer statements and longer locks, fewer make more trips. */
const ACCOUNTS_PER_BATCH = 200;

export interface RollUpReport {
  accounts: number;
  rows: number;
  /** Accounts whose present epoch must be told of new sums. */
  outdated: string[];
}

export interface RollUpStores {
  db: Db;
  counters: Counters;
  /** The gauge that object sizes belong to. */
  storageMeter: string;
}

/**
 * Books what Redis holds: read marks, read totals, book the greatest in one statement, clear the marks that have not changed.
 * May be run twice, at once, late, or be killed between any two steps: the tables come out the same.
 */
export async function rollUp(stores: RollUpStores, now: number): Promise<RollUpReport> {
  const dirty = await dirtyAccounts(stores.counters.connection, stores.counters.keys);
  const report: RollUpReport = { accounts: dirty.length, rows: 0, outdated: [] };
  for (let i = 0; i < dirty.length; i += ACCOUNTS_PER_BATCH) {
    const part = await rollUpAccounts(stores, dirty.slice(i, i + ACCOUNTS_PER_BATCH), now);
    report.rows += part.rows;
    report.outdated.push(...part.outdated);
  }
  return report;
}

/** The same for named accounts, whether they are marked dirty or not. */
export async function rollUpAccounts({ db, counters, storageMeter }: RollUpStores, accounts: string[], now: number): Promise<RollUpReport> {
  const { connection, keys } = counters;
  const collected = await collect(connection, keys, accounts, now);
  const totals = collected.flatMap(bucketTotals);
  const levels = collected.flatMap((c) => objectLevels(c, storageMeter));
  const outdated = new Set<string>();
  for (const rows of chunks(totals)) for (const account of await bookUsage(db, rows)) outdated.add(account);
  for (const rows of chunks(levels)) await bookObjectLevels(db, rows);
  await Promise.all(collected.map((c) => markBooked(connection, keys, c)));
  return { accounts: accounts.length, rows: totals.length + levels.length, outdated: [...outdated] };
}

function bucketTotals({ account, totals }: Collected): BucketTotal[] {
  return [...totals].map(([field, quantity]) => {
    const [epoch, source, bucket, service, namespace, meter] = field.split("/");
    return { account, epoch: Number(epoch), source: source ?? "", bucket: Number(bucket), service: service ?? "", namespace: namespace ?? "", meter: meter ?? "", quantity };
  });
}

function objectLevels({ account, objects }: Collected, meter: string): ObjectLevel[] {
  return [...objects].map(([field, change]) => {
    const [service, namespace, ...object] = field.split("/");
    const [epoch, seq, bytes, at] = change.split("/").map(Number);
    return { account, meter, service: service ?? "", namespace: namespace ?? "", object: object.join("/"), epoch: epoch ?? 0, seq: seq ?? 0, bytes: bytes ?? 0, at: at ?? 0 };
  });
}

function* chunks<T>(rows: T[]): Generator<T[]> {
  for (let i = 0; i < rows.length; i += BOOK_ROWS_MAX) yield rows.slice(i, i + BOOK_ROWS_MAX);
}
