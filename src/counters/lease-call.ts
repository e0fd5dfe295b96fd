import type { RedisServers } from "../stores/redis-servers.ts";
import { decodeLoad, type LoadCause } from "./check-call.ts";
import type { KeySpace } from "./keys.ts";
import { readHeader, readMeter, type Header, type MeterCounters } from "./layout.ts";
import { readLease, type LeaseRecord } from "./lease-record.ts";
import { ask, buffer, runScript, script, text, type Reply, type ScriptArg } from "./script.ts";

const LEASE = script("lease");
const WRITTEN = script("lease-written");
const RECALL = script("recall");

/** How long holders are asked to give back after somebody was denied: two heartbeats. */
const RECALL_MS = 2_000;
const RECALL_FIELD = "!recall";

type Amount = readonly [name: string, quantity: number];

/** One call about a lease as the script takes it. */
export interface LeaseOperation {
  account: string;
  /** Its name within the account, which is the source of what it spends. */
  lease: string;
  now: number;
  hour: number;
  catalogVersion: number;
  kind: "grant" | "settle" | "return";
  /** Null: not numbered. */
  seq: number | null;
  /** Of a new lease. */
  ttlMs: number;
  requestHash: string;
  /** Near a limit lend no more than this holder's part of what is left. */
  fair: boolean;
  /** A lease that Postgres knows, as `returnedLease` writes it, and its epoch. */
  known: { epoch: number; record: string } | null;
  /** `service/namespace/meter` → spent in all. */
  totals: readonly Amount[];
  /** Meter → how much more is asked for. */
  asks: readonly Amount[];
}

export interface Leased {
  status: "done" | "repeated";
  header: Header;
  record: LeaseRecord;
  recall: boolean;
  meters: Map<string, MeterCounters>;
}

export type LeaseReply =
  | Leased
  /** What could be lent, in the order of `asks`, once Postgres has granted it. */
  | { status: "grant"; header: Header; needs: { meter: string; quantity: number; counters: MeterCounters }[] }
  | { status: "load"; reason: LoadCause; epoch: number }
  | { status: "unknown"; epoch: number; monthStart: number }
  | { status: "expire" | "full" | "mismatch" };

/** Typed calls about leases. Each is one round trip and throws `503 unavailable` when Redis does not answer in time. */
export interface LeaseCalls {
  run(operation: LeaseOperation): Promise<LeaseReply>;
  /** Notes that Postgres has what the lease was granted. */
  written(account: string, lease: string, version: number): Promise<void>;
  /** Asks all holders to give back what they do not need; answers whether there are any. */
  recall(account: string, now: number): Promise<boolean>;
  /** When the last of the account's open leases ends, epoch ms; null where there is none. */
  lastExpiry(account: string): Promise<number | null>;
}

/** The calls of lease.lua, lease-written.lua and recall.lua. */
export function createLeaseCalls(redis: RedisServers, keys: KeySpace): LeaseCalls {
  return {
    run: async (operation) => {
      const { account, hour } = operation;
      const used = [keys.state(account), keys.totals(account, hour), keys.leases(account), keys.dirtyOf(account), keys.crossings(account)];
      return decode(operation, await runScript(redis, LEASE, used, (runId) => args(runId, operation)));
    },
    written: async (account, lease, version) => {
      await runScript(redis, WRITTEN, [keys.leases(account)], () => [lease, version]);
    },
    recall: async (account, now) => {
      const reply: unknown = await runScript(redis, RECALL, [keys.leases(account)], () => [now + RECALL_MS]);
      return Number(reply) > 0;
    },
    lastExpiry: async (account) => {
      const key = keys.leases(account);
      const all = await ask(redis, key, (connection) => connection.call((client) => client.hgetall(key)));
      const open = Object.entries(all).flatMap(([field, value]) => (field === RECALL_FIELD ? [] : [readLease(value)]));
      return open.reduce<number | null>((last, { open: is, expiresAt }) => (is ? Math.max(last ?? 0, expiresAt) : last), null);
    },
  };
}

const KIND = { grant: "g", settle: "s", return: "c" } as const;

function args(runId: string, o: LeaseOperation): ScriptArg[] {
  const known: ScriptArg[] = o.known === null ? ["", ""] : [o.known.epoch, o.known.record];
  return [
    runId,
    o.catalogVersion,
    o.now,
    o.hour,
    o.account,
    o.lease,
    KIND[o.kind],
    o.seq ?? "",
    o.ttlMs,
    o.requestHash,
    o.fair ? 1 : 0,
    ...known,
    o.totals.length,
    ...o.totals.flat(),
    ...o.asks.flat(),
  ];
}

function decode({ asks }: LeaseOperation, reply: Reply[]): LeaseReply {
  const code = Number(reply[0]);
  switch (code) {
    case -1:
      return decodeLoad(reply);
    case -2:
      return { status: "unknown", epoch: Number(text(reply[1])), monthStart: Number(text(reply[2])) };
    case -3:
      return {
        status: "grant",
        header: readHeader(buffer(reply[1])),
        needs: asks.map(([meter], i) => ({
          meter,
          quantity: Number(text(reply[2 + 2 * i])),
          counters: readMeter(buffer(reply[3 + 2 * i]), false),
        })),
      };
    case -4:
      return { status: "expire" };
    case -6:
      return { status: "full" };
    case 3:
      return { status: "mismatch" };
    case 1:
    case 2:
      return {
        status: code === 1 ? "done" : "repeated",
        header: readHeader(buffer(reply[1])),
        record: readLease(text(reply[2])),
        recall: text(reply[3]) === "1",
        meters: metersOf(reply.slice(4)),
      };
    default:
      throw new Error(`lease.lua answered status ${code}`);
  }
}

function metersOf(pairs: Reply[]): Map<string, MeterCounters> {
  const meters = new Map<string, MeterCounters>();
  for (let i = 0; i + 1 < pairs.length; i += 2) meters.set(text(pairs[i]), readMeter(buffer(pairs[i + 1]), false));
  return meters;
}
