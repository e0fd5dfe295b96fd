import { unavailable } from "../kernel/errors.ts";
import type { Period, Window } from "../kernel/window.ts";
import type { RedisConnection } from "../stores/redis.ts";
import { keySpace, type KeySpace } from "./keys.ts";
import { orNone, readHeader, readMeter, type Header, type MeterCounters } from "./layout.ts";
import { buffer, runScript, script, text, type Reply } from "./script.ts";

const CHECK = script("check");
const LOAD = script("load");
const GRANT = script("grant");

/** One operation as the script takes it; every number is a checked quantity. */
export interface Operation {
  account: string;
  now: number;
  hour: number;
  catalogVersion: number;
  mode: "consume" | "peek";
  source: string;
  /** `service/namespace`, either part may be empty. */
  place: string;
  usage: readonly (readonly [meter: string, quantity: number])[];
  storage: { meter: string; object: string; kind: "delta" | "set"; bytes: number; bookedLevel: number | null } | null;
  payloadBytes: number | null;
  decisionId: string;
  idempotency: { field: Buffer; requestHash: Buffer } | null;
}

export interface Counted {
  status: "allowed" | "denied" | "grant";
  header: Header;
  objectBefore: number;
  objectAfter: number;
  /** Letters: p payload, o object ceiling, s account storage. */
  refusals: string;
  /** In the order of `usage`; the storage meter last, where there is one. */
  meters: MeterCounters[];
}

export type CheckReply =
  | Counted
  | { status: "load"; reason: "absent" | "run" | "turned" | "catalog" | "meter" | "lost"; epoch: number }
  | { status: "object" }
  | { status: "replayed"; answer: string }
  | { status: "mismatch" };

/** What Postgres says of one meter of an account. */
export interface LoadedMeter {
  meter: string;
  gauge: boolean;
  level: number;
  periods: Record<Period, { plan: number | null; cap: number | null; base: number }>;
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
  meters: LoadedMeter[];
}

export interface GrantedLimit {
  meter: string;
  period: Period;
  windowStart: number;
  granted: number;
  more: boolean;
}

export interface Snapshot {
  header: Header;
  meters: Map<string, MeterCounters>;
}

/** Typed calls to the scripts. Each is one round trip and throws `503 unavailable` when Redis does not answer in time. */
export interface Counters {
  readonly keys: KeySpace;
  readonly connection: RedisConnection;
  check(operation: Operation): Promise<CheckReply>;
  /** Installs a new epoch (`replaces`: the epoch of this run it may replace, or 0) or refreshes the present one. */
  load(account: LoadedAccount, kind: "open" | "refresh", replaces: number): Promise<{ installed: boolean; epoch: number }>;
  grant(account: string, epoch: number, limitsVersion: number, limits: GrantedLimit[]): Promise<boolean>;
  /** The account's present counters, or null when they are not loaded for this run of the server. */
  read(account: string, meters: string[]): Promise<Snapshot | null>;
}

export function createCounters(connection: RedisConnection, prefix: string): Counters {
  const keys = keySpace(prefix);
  return {
    keys,
    connection,
    check: async (operation) => decodeCheck(await runScript(connection, CHECK, checkKeys(keys, operation), checkArgs(connection.runId(), operation))),
    load: async (loaded, kind, replaces) => {
      const { account } = loaded;
      const accountKeys = [keys.state(account), keys.objects(account), keys.changedObjects(account)];
      const reply = await runScript(connection, LOAD, accountKeys, loadArgs(connection.runId(), loaded, kind, replaces));
      return { installed: Number(reply[0]) === 1, epoch: Number(text(reply[1])) };
    },
    grant: async (account, epoch, limitsVersion, limits) => {
      const args = limits.flatMap((l) => [l.meter, l.period, l.windowStart, l.granted, l.more ? 1 : 0]);
      const reply: unknown = await runScript(connection, GRANT, [keys.state(account)], [connection.runId(), epoch, limitsVersion, ...args]);
      return Number(reply) === 1;
    },
    read: (account, meters) => readSnapshot(connection, keys, account, meters),
  };
}

function checkKeys(keys: KeySpace, { account, hour, now }: Operation): string[] {
  return [
    keys.state(account),
    keys.totals(account, hour),
    keys.objects(account),
    keys.changedObjects(account),
    keys.idempotency(account, now, 0),
    keys.idempotency(account, now, 1),
    keys.dirtyOf(account),
  ];
}

function checkArgs(runId: string, operation: Operation): (string | number)[] {
  const { storage, idempotency } = operation;
  const args: (string | number | Buffer)[] = [
    runId,
    operation.catalogVersion,
    operation.now,
    operation.hour,
    operation.account,
    operation.mode === "peek" ? "p" : "c",
    operation.source,
    operation.place,
    idempotency?.field ?? "",
    idempotency?.requestHash ?? "",
    operation.decisionId,
    operation.payloadBytes ?? "",
    storage?.object ?? "",
    storage === null ? "" : storage.kind === "set" ? "s" : "d",
    storage?.bytes ?? "",
    storage?.meter ?? "",
    storage?.bookedLevel ?? "",
  ];
  for (const [meter, quantity] of operation.usage) args.push(meter, quantity);
  return args as (string | number)[];
}

const STATUS: Record<number, Counted["status"]> = { 1: "allowed", 0: "denied", [-3]: "grant" };

function decodeCheck(reply: Reply[]): CheckReply {
  const code = Number(reply[0]);
  if (code === -1) return { status: "load", reason: text(reply[1]) as "absent", epoch: Number(text(reply[2])) };
  if (code === -2) return { status: "object" };
  if (code === 2) return { status: "replayed", answer: text(reply[1]) };
  if (code === 3) return { status: "mismatch" };
  const status = STATUS[code];
  if (status === undefined) throw new Error(`check.lua answered status ${code}`);
  return {
    status,
    header: readHeader(buffer(reply[1])),
    objectBefore: Number(text(reply[2])),
    objectAfter: Number(text(reply[3])),
    refusals: text(reply[4]),
    meters: reply.slice(5).map((packed) => readMeter(buffer(packed))),
  };
}

function loadArgs(runId: string, a: LoadedAccount, kind: string, replaces: number): (string | number)[] {
  const { day, month } = a.windows;
  const header = [a.epoch, a.limitsVersion, a.catalogVersion, a.foreignSeq, day.start, day.end, month.start, month.end];
  const meters = a.meters.flatMap(({ meter, gauge, level, periods }) => [
    meter,
    gauge ? 1 : 0,
    level,
    ...[periods.day, periods.month].flatMap((p) => [orNone(p.plan), orNone(p.cap), p.base]),
  ]);
  return [runId, kind, replaces, a.meters.length, ...header, orNone(a.objectCeiling), orNone(a.payloadCeiling), a.hasObjects ? 1 : 0, ...meters];
}

async function readSnapshot(connection: RedisConnection, keys: KeySpace, account: string, meters: string[]): Promise<Snapshot | null> {
  const runId = connection.runId();
  const { client } = connection;
  const reply = await client.hmgetBuffer(keys.state(account), "h", ...meters.map((m) => `m:${m}`)).catch((error: unknown) => {
    throw unavailable("Redis", error);
  });
  const packed = reply[0];
  if (!packed) return null;
  const header = readHeader(packed);
  if (header.runId !== runId) return null;
  const found = new Map<string, MeterCounters>();
  meters.forEach((meter, i) => {
    const counters = reply[i + 1];
    if (counters) found.set(meter, readMeter(counters));
  });
  return { header, meters: found };
}
