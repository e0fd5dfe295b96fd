import type { Period, Window } from "../kernel/window.ts";
import type { RedisServers } from "../stores/redis-servers.ts";
import { BranchCalls, type HotAccounts } from "./branch-calls.ts";
import { Branches } from "./branches.ts";
import { keySpace, type KeySpace } from "./keys.ts";
import { checkArgs, checkKeys, decodeCheck, type CheckReply, type Operation } from "./check-call.ts";
import { createForeignCalls, type ForeignCalls } from "./foreign-call.ts";
import { createLeaseCalls, type LeaseCalls } from "./lease-call.ts";
import { orNone, readHeader, readMeter, type Header, type MeterCounters } from "./layout.ts";
import { QuickCalls } from "./quick-calls.ts";
import { ask, buffer, runScript, script, text } from "./script.ts";
import { decodeSettle, settleArgs, settleKeys, type Ending, type SettleReply } from "./settle-call.ts";

const CHECK = script("check");
const LOAD = script("load");
const GRANT = script("grant");
const SETTLE = script("settle");
const EXPIRE = script("expire");
const CLOSE = script("close");
const SNAPSHOT = script("snapshot");

/** Reservations ended in one call: about 3 µs each, and the server does nothing else meanwhile. */
const EXPIRE_MAX = 500;

/** What Postgres says of one meter of an account. */
export interface LoadedMeter {
  meter: string;
  gauge: boolean;
  level: number;
  periods: Record<Period, { plan: number | null; cap: number | null; base: number; mark: number | null }>;
}

export interface LoadedAccount {
  account: string;
  epoch: number;
  limitsVersion: number;
  catalogVersion: number;
  foreignSeq: number;
  windows: Record<Period, Window>;
  objectCeiling: number | null;
  payloadCeiling: number | null;
  hasObjects: boolean;
  now: number;
  /** Until when an idempotency key unknown to Redis may be known to Postgres; 0 where there can be none. */
  keysColdUntil: number;
  /** The life that was closed here in good order, whose reservations go on in the one that is opened; 0 where none was. */
  follows: number;
  meters: LoadedMeter[];
  /** What the limits follow from, in words of their own; thresholds that are reached under them are noted with it. */
  limits: string;
}

export interface GrantedLimit {
  meter: string;
  /** `level` for a gauge. */
  period: Period | "level";
  /** 0 for a gauge. */
  windowStart: number;
  granted: number;
  more: boolean;
}

export interface MeterName {
  name: string;
  kind: "counter" | "gauge";
}

export interface Snapshot {
  header: Header;
  meters: Map<string, MeterCounters>;
}

export interface ClosedLife {
  /** 0 where there is none. */
  epoch: number;
  keysColdUntil: number;
  /** Reservations held something of it. */
  holds: boolean;
}

/** Typed calls to the scripts. Each is one round trip and throws `503 unavailable` when Redis does not answer in time. */
export interface Counters {
  readonly keys: KeySpace;
  readonly redis: RedisServers;
  check(operation: Operation): Promise<CheckReply>;
  /** The shortest way, for what nothing stands in the way of. */
  readonly quick: QuickCalls;
  /** Of accounts that are spread over several slots. */
  readonly branches: Branches;
  /** Installs a new epoch (`replaces`: the epoch of this run it may replace, or 0) or refreshes the present one. */
  load(account: LoadedAccount, kind: "open" | "refresh", replaces: number): Promise<{ installed: boolean; epoch: number }>;
  settle(ending: Ending): Promise<SettleReply>;
  readonly leases: LeaseCalls;
  readonly foreign: ForeignCalls;
  /** Ends reservations that are due, at most 500; answers how many, −1 when the account is not loaded. */
  expire(account: string, now: number, rememberedUntil: number): Promise<number>;
  grant(account: string, epoch: number, limitsVersion: number, limits: GrantedLimit[]): Promise<boolean>;
  /** Ends an epoch that has nothing unbooked and nothing lent; false when it has, or has changed since `changes` was read. */
  close(account: string, epoch: number, changes: number, now: number): Promise<boolean>;
  /** The life that was closed in good order before, where none has been opened since. */
  closed(account: string): Promise<ClosedLife>;
  /** What its reservations held of each meter, of counters in the windows that stood then; of a gauge under `day`. */
  heldAtClose(account: string, meters: readonly string[]): Promise<Map<string, Record<Period, number>>>;
  /** What changes with everything that is counted of the account, and with the incarnation of the server that holds it. */
  mark(account: string): Promise<string>;
  /** The account's present counters, or null when they are not loaded for this run of the server. */
  read(account: string, meters: readonly MeterName[]): Promise<Snapshot | null>;
}

/** The calls to the scripts, over one connection to each server; every key begins with `prefix`. */
export function createCounters(redis: RedisServers, prefix: string, hot: HotAccounts = new Map()): Counters {
  const keys = keySpace(prefix);
  return {
    keys,
    redis,
    quick: new QuickCalls(redis),
    branches: new Branches(new BranchCalls(redis, keys, hot)),
    check: async (operation) =>
      decodeCheck(operation, await runScript(redis, CHECK, checkKeys(keys, operation), (runId) => checkArgs(runId, operation))),
    load: async (loaded, kind, replaces) => {
      const { account } = loaded;
      const reply = await runScript(redis, LOAD, loadKeys(keys, account), (runId) => loadArgs(runId, loaded, kind, replaces));
      return { installed: Number(reply[0]) === 1, epoch: Number(text(reply[1])) };
    },
    leases: createLeaseCalls(redis, keys),
    foreign: createForeignCalls(redis, keys),
    settle: async (ending) => decodeSettle(await runScript(redis, SETTLE, settleKeys(keys, ending), (runId) => settleArgs(runId, ending))),
    expire: async (account, now, rememberedUntil) => {
      const accountKeys = [keys.state(account), keys.objects(account), keys.reservations(account), keys.expiries(account)];
      const reply: unknown = await runScript(redis, EXPIRE, accountKeys, (runId) => [runId, now, EXPIRE_MAX, rememberedUntil]);
      return Number(reply);
    },
    grant: async (account, epoch, limitsVersion, limits) => {
      const args = limits.flatMap((l) => [l.meter, l.period, l.windowStart, l.granted, l.more ? 1 : 0]);
      const reply: unknown = await runScript(redis, GRANT, [keys.state(account)], (runId) => [runId, epoch, limitsVersion, ...args]);
      return Number(reply) === 1;
    },
    close: async (account, epoch, changes, now) => {
      const closeKeys = [keys.state(account), keys.reservations(account), keys.expiries(account)];
      const reply: unknown = await runScript(redis, CLOSE, closeKeys, (runId) => [runId, epoch, changes, now]);
      return Number(reply) === 1;
    },
    closed: (account) => readClosed(redis, keys.state(account)),
    heldAtClose: (account, meters) => readHeldAtClose(redis, keys.state(account), meters),
    mark: (account) => {
      const key = keys.state(account);
      return ask(redis, key, async (connection) => {
        const runId = connection.runId();
        const fields = await connection.call((client) => client.hmgetBuffer(key, "h", "q"));
        return [runId, ...fields.map((field) => field?.toString("latin1") ?? "")].join("/");
      });
    },
    read: (account, meters) => readSnapshot(redis, keys, account, meters),
  };
}

const loadKeys = (keys: KeySpace, account: string): string[] => [
  keys.state(account),
  keys.objects(account),
  keys.changedObjects(account),
  keys.expiries(account),
  keys.leases(account),
  keys.crossings(account),
  keys.dirtyOf(account),
  keys.reservations(account),
];

function loadArgs(runId: string, a: LoadedAccount, kind: string, replaces: number): (string | number)[] {
  const { day, month } = a.windows;
  const header = [a.epoch, a.limitsVersion, a.catalogVersion, a.foreignSeq, day.start, day.end, month.start, month.end];
  const meters = a.meters.flatMap(({ meter, gauge, level, periods }) => [
    meter,
    gauge ? 1 : 0,
    level,
    ...[periods.day, periods.month].flatMap((p) => [orNone(p.plan), orNone(p.cap), p.base, orNone(p.mark)]),
  ]);
  return [
    runId,
    kind,
    replaces,
    a.meters.length,
    ...header,
    orNone(a.objectCeiling),
    orNone(a.payloadCeiling),
    a.hasObjects ? 1 : 0,
    a.now,
    a.keysColdUntil,
    ...meters,
    a.follows,
    a.account,
    a.limits,
  ];
}

async function readSnapshot(redis: RedisServers, keys: KeySpace, account: string, meters: readonly MeterName[]): Promise<Snapshot | null> {
  const names = meters.map((m) => m.name);
  let runId = "";
  const reply = await runScript(redis, SNAPSHOT, [keys.state(account)], (run) => {
    runId = run;
    return names;
  });
  const packed = buffer(reply[0]);
  if (packed.length === 0) return null;
  const header = readHeader(packed);
  if (header.runId !== runId) return null;
  const found = new Map<string, MeterCounters>();
  meters.forEach((meter, i) => {
    const counters = buffer(reply[i + 1]);
    if (counters.length > 0) found.set(meter.name, readMeter(counters, meter.kind === "gauge"));
  });
  return { header, meters: found };
}

async function readClosed(redis: RedisServers, key: string): Promise<ClosedLife> {
  const closed = await ask(redis, key, (connection) => connection.call((client) => client.hget(key, "closed")));
  const [epoch = 0, keysColdUntil = 0, holds = 1] = (closed ?? "0,0,0").split(",").map(Number);
  return { epoch, keysColdUntil, holds: holds === 1 };
}

async function readHeldAtClose(redis: RedisServers, key: string, meters: readonly string[]): Promise<Map<string, Record<Period, number>>> {
  const fields = meters.map((meter) => `m:${meter}`);
  const packed = await ask(redis, key, (connection) => connection.call((client) => client.hmgetBuffer(key, ...fields)));
  return new Map(
    meters.flatMap((meter, i) => {
      const counters = packed[i];
      if (!counters) return [];
      const { day, month } = readMeter(counters, false);
      return [[meter, { day: day.held, month: month.held }] as const];
    }),
  );
}
