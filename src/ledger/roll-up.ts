import { accountOf } from "../counters/branch-names.ts";
import { collect, dirtyAccounts, markBooked, noteRolledUp, type Collected } from "../counters/collect.ts";
import type { Counters } from "../counters/counters.ts";
import type { Crossing } from "../counters/crossing.ts";
import { limbs } from "../counters/layout.ts";
import { unlessUnavailable } from "../kernel/errors.ts";
import type { Db } from "../stores/database.ts";
import { bookAll } from "./book-all.ts";
import { BUCKET_OPEN_MS } from "./book-own.ts";
import type { AnsweredKey, BucketTotal, GaugeBucket, ObjectLevel } from "./bucket.ts";
import { inHalves } from "./in-halves.ts";
import { foreignSeqs } from "./ledger-store.ts";
import type { Copies, UnbookedTotals } from "./unbooked.ts";

/** Accounts booked together. More make longer statements and longer locks; of fewer each statement's plan is a greater part. */
const ACCOUNTS_PER_BATCH = 400;
/** While Postgres books one, Redis is asked for the next: one after the other each waits for half of the time. */
const BATCHES_AT_ONCE = 2;

export interface RollUpReport {
  accounts: number;
  rows: number;
  /** Accounts whose present epoch must be told of new sums. */
  outdated: string[];
  /** What kept some server's accounts from being booked; null when nothing did. They stay marked for the next run. */
  fault: Error | null;
}

export interface RollUpStores {
  db: Db;
  counters: Counters;
  /** What this process has acknowledged: of what is booked for it here it need book nothing itself. */
  unbooked: UnbookedTotals;
  /** The gauge that object sizes belong to. */
  storageMeter: string;
  /** Tells of thresholds an account has reached. */
  tellCrossings: (account: string, crossings: readonly Crossing[], now: number) => Promise<void>;
  /** For tests alone, which end the roll-up between any two steps by throwing. */
  onStep?: (step: RollUpStep) => void;
}

export const ROLL_UP_STEPS = ["read", "usage booked", "levels booked", "gauges booked", "told", "let go"] as const;
export type RollUpStep = (typeof ROLL_UP_STEPS)[number];

/**
 * Books what Redis holds: read marks, read totals, book the greatest in one statement, clear the marks that have not changed.
 * May be run twice, at once, late, or be killed between any two steps: the tables come out the same.
 */
export async function rollUp(stores: RollUpStores, now: number): Promise<RollUpReport> {
  const { redis, keys, branches } = stores.counters;
  // Home first hears what is spent at branches: thresholds are reached there. A branch that is away is told of by its dirty set.
  await Promise.all([...branches.calls.hot.keys()].map((account) => branches.gather(account, [], now).catch(unlessUnavailable)));
  const { accounts, complete, away } = await dirtyAccounts(redis, keys);
  const report: RollUpReport = { accounts: 0, rows: 0, outdated: [], fault: away };
  for (const dirty of accounts) await rollUpServer(stores, dirty, now, report).catch((error: Error) => (report.fault ??= error));
  if (complete && report.fault === null) await noteRolledUp(redis, keys, now);
  return report;
}

/** One server's accounts: what ails it keeps no other server's usage from being booked. */
async function rollUpServer(stores: RollUpStores, dirty: string[], now: number, report: RollUpReport): Promise<void> {
  const batches = Array.from({ length: Math.ceil(dirty.length / ACCOUNTS_PER_BATCH) }, (_, i) =>
    dirty.slice(i * ACCOUNTS_PER_BATCH, (i + 1) * ACCOUNTS_PER_BATCH),
  );
  const lane = async (): Promise<void> => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const fault = await inHalves(batch, async (accounts) => {
        const part = await rollUpNamed(stores, accounts, now);
        report.accounts += part.accounts;
        report.rows += part.rows;
        report.outdated.push(...part.outdated);
      });
      report.fault ??= fault;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: BATCHES_AT_ONCE }, lane));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

const readings = new WeakMap<Db, Set<Promise<unknown>>>();

/** Resolves when whatever this process had read from Redis at this moment is booked, or could not be. */
export async function readingsBooked(db: Db): Promise<void> {
  const own = readings.get(db);
  if (own) await Promise.allSettled(own);
}

/** The same for named accounts, with all their branches, whether they are marked dirty or not. */
export async function rollUpAccounts(stores: RollUpStores, accounts: string[], now: number): Promise<Omit<RollUpReport, "fault">> {
  const { branches } = stores.counters;
  const hot = accounts.filter((account) => branches.isHot(account));
  if (hot.length === 0) return rollUpNamed(stores, accounts, now);
  await Promise.all(hot.map((account) => branches.gather(account, [], now)));
  return rollUpNamed(
    stores,
    accounts.flatMap((account) => branches.calls.namesOf(account)),
    now,
  );
}

/** The same for one account, of its branches those that can be reached: what the others hold is booked under its epoch when they are back. */
export async function rollUpReachable(stores: RollUpStores, account: string, now: number): Promise<void> {
  const [home = account, ...branches] = stores.counters.branches.calls.namesOf(account);
  await rollUpNamed(stores, [home], now);
  for (const branch of branches) await rollUpNamed(stores, [branch], now).catch(unlessUnavailable);
}

/** The same for accounts and branches by their names in Redis. */
async function rollUpNamed(stores: RollUpStores, names: string[], now: number): Promise<Omit<RollUpReport, "fault">> {
  const { db, counters, tellCrossings, onStep = noStep } = stores;
  const { redis, keys } = counters;
  const reading = readAndBook(stores, names, now);
  const own = readings.get(db) ?? new Set<Promise<unknown>>();
  readings.set(db, own.add(reading));
  const { collected, copies, booked } = await reading.finally(() => own.delete(reading));
  const outdated = new Set(booked.filter(({ rose }) => rose).map((b) => b.account));
  // Whoever booked foreign usage may have been killed before it told Redis: whoever comes next tells.
  const newest = new Map(booked.map((b) => [b.account, b.foreignSeq]));
  const unasked = [...new Set(names.map(accountOf))].filter((account) => !newest.has(account));
  for (const [account, seq] of await foreignSeqs(db, unasked)) newest.set(account, seq);
  for (const { account, foreignSeq } of collected)
    if (foreignSeq !== null && (newest.get(account) ?? 0) > foreignSeq) outdated.add(account);
  // Told before it is forgotten: a crossing whose telling failed stays, and is told by the next run.
  for (const { account, reached } of collected) {
    if (reached.length > 0)
      await tellCrossings(
        account,
        reached.filter(({ limits }) => limits !== ""),
        now,
      );
    // Loaded by a release that did not say what its limits follow from: loaded again, what is reached is noted again.
    if (reached.some(({ limits }) => limits === "")) outdated.add(account);
  }
  onStep("told");
  await markBooked(redis, keys, collected);
  onStep("let go");
  return { accounts: names.length, rows: copies.totals.length + copies.levels.length, outdated: [...outdated] };
}

const noStep = (): void => {};

async function readAndBook({ db, counters, unbooked, storageMeter, onStep = noStep }: RollUpStores, names: string[], now: number) {
  const collected = await collect(counters.redis, counters.keys, names, now);
  onStep("read");
  const copies: Copies = {
    totals: collected.flatMap(bucketTotals),
    levels: collected.flatMap((c) => objectLevels(c, storageMeter)),
    gauges: collected.flatMap(gaugeBuckets),
    keys: collected.flatMap(answeredKeys),
  };
  const booked = await bookAll(db, copies, onStep);
  // Booked twice, once from Redis and once from here, a thousand accounts a second cost Postgres twice the work, half of it in a burst.
  unbooked.forgetAll(copies, now - BUCKET_OPEN_MS);
  return { collected, copies, booked };
}

function bucketTotals({ account, totals }: Collected): BucketTotal[] {
  return [...totals].map(([field, quantity]) => {
    const [epoch, source, bucket, service, namespace, meter] = field.split("/");
    return {
      account,
      epoch: Number(epoch),
      source: source ?? "",
      bucket: Number(bucket),
      service: service ?? "",
      namespace: namespace ?? "",
      meter: meter ?? "",
      quantity,
    };
  });
}

function objectLevels({ account, objects }: Collected, meter: string): ObjectLevel[] {
  return [...objects].map(([field, change]) => {
    const [service, namespace, ...object] = field.split("/");
    const [epoch, seq, bytes, at] = change.split("/").map(Number);
    return {
      account,
      meter,
      service: service ?? "",
      namespace: namespace ?? "",
      object: object.join("/"),
      epoch: epoch ?? 0,
      seq: seq ?? 0,
      bytes: bytes ?? 0,
      at: at ?? 0,
    };
  });
}

function gaugeBuckets({ account, gauges }: Collected): GaugeBucket[] {
  return [...gauges].map(([field, state]) => {
    const [epoch, bucket, meter] = field.slice(1).split("/");
    const [from = 0, high = 0, low = 0, level = 0, until = 0, seq = 0] = state.split(",").map(Number);
    return {
      account,
      meter: meter ?? "",
      bucket: Number(bucket),
      epoch: Number(epoch),
      from,
      until,
      byteMilliseconds: limbs(high, low),
      level,
      seq,
    };
  });
}

function answeredKeys({ account, keys }: Collected): AnsweredKey[] {
  return keys.map(([keyHash, answered]) => {
    const slash = answered.indexOf("/");
    return { account, keyHash, answer: answered.subarray(slash + 1), at: Number(answered.toString("latin1", 0, slash)) };
  });
}
