import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { NotSent, unavailable } from "../kernel/errors.ts";
import { BoundedCalls } from "./bounded-calls.ts";

/** A call that has no answer by then counts as unknown; the caller is told 503, within 250 ms in all. */
export const COMMAND_TIMEOUT_MS = 200;
/** More in flight only make every answer later: throughput is flat from 64 on. */
const IN_FLIGHT_MAX = 256;
/** Calls in line beyond these are refused: at 30,000 a second they would wait a second. */
const WAITING_MAX = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1_000;
/**
 * Of what scripts keep and how (src/counters/layout.ts): part of what tells incarnations apart, so what a release left that laid it out otherwise
 * is taken for another incarnation's, which is never read.
 */
const LAYOUT = 2;
/** Where a server without a run id of its own (the JavaScript one) is given one. It dies with the server's memory. */
const RUN_ID_KEY = "weir:run-id";

/** A connection that knows which incarnation of the server is at its other end. */
export interface RedisConnection {
  /** The raw client; only src/counters sends through it, in `call`. */
  readonly client: Redis;
  /** Sends when there is room; a silent server fails everything that waits for it, with `unavailable`. */
  call<T>(send: (client: Redis) => Promise<T>): Promise<T>;
  /** The server's run id as read on *this* connection; throws `unavailable` while there is none. */
  runId(): string;
  /** Resolves when the server answers; rejects with `unavailable` after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>;
  /** Calls back whenever another incarnation than before is at the other end: what the last one held may be gone. */
  onRunChange(listener: () => void): void;
  /** Drops what is under way and connects anew: for a server that may have become another incarnation on the same wire. */
  reconnect(): void;
  /** Calls back whenever calls that were sent are given up: whether they were carried out is unknown. */
  onDoubt(listener: () => void): void;
  close(): Promise<void>;
}

export interface RedisOptions {
  commandTimeoutMs?: number;
}

/** Opens the connection to one server. */
export function openRedis(url: string, options: RedisOptions = {}): RedisConnection {
  const client = meteringClient(url);
  const timeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  const calls = new BoundedCalls("Redis", {
    timeoutMs,
    inFlightMax: IN_FLIGHT_MAX,
    waitingMax: WAITING_MAX,
    onDoubt: () => doubters.forEach((tell) => tell()),
  });
  const doubters: (() => void)[] = [];
  let runId: string | null = null;
  let lastRunId: string | null = null;
  const waiting = new Set<() => void>();
  const listeners: (() => void)[] = [];

  const learn = async (): Promise<void> => {
    try {
      runId = await calls.run(() => readRunId(client));
      const changed = lastRunId !== null && lastRunId !== runId;
      lastRunId = runId;
      if (changed) for (const listener of listeners) listener();
      for (const wake of waiting) wake();
      waiting.clear();
    } catch {
      // Connected, but not answering: start over, or the process would stay without a run id for good.
      client.disconnect(true);
    }
  };
  client.on("ready", () => void learn());
  // From here to the next "ready" nothing may be sent: the server behind the next connection may be another one.
  client.on("close", () => {
    runId = null;
    // ioredis 6.0 leaves what was under way unsettled for ever when it does not re-send.
    calls.failAll();
  });
  // Every command reports its own failure; without a listener ioredis prints each lost connection to the console.
  client.on("error", () => {});

  return {
    client,
    call: (send) => calls.run(() => send(client).catch(asNotSent)),
    runId: () => {
      if (runId === null) throw new NotSent("Redis");
      return runId;
    },
    ready: (timeoutMs) =>
      new Promise((resolve, reject) => {
        if (runId !== null) return resolve();
        const wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          waiting.delete(wake);
          reject(unavailable("Redis"));
        }, timeoutMs);
        waiting.add(wake);
      }),
    reconnect: () => client.disconnect(true),
    onDoubt: (listener) => void doubters.push(listener),
    onRunChange: (listener) => void listeners.push(listener),
    close: async () => {
      await calls.run(() => client.quit()).catch(() => client.disconnect());
    },
  };
}

/**
 * ioredis' defaults re-send after a lost reply (one call was counted four times), so: no re-sending, no offline queue, no retries.
 * Integers come as text, since the client rounds at 2^53.
 */
function meteringClient(url: string): Redis {
  return new Redis(url, {
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    stringNumbers: true,
    protocol: 2,
    keepAlive: 10_000,
    retryStrategy: reconnectWait,
  });
}

async function readRunId(client: Redis): Promise<string> {
  const run = /^run_id:(\S+)/m.exec(await client.info("server"))?.[1];
  // A primary that lost its place and gets it back is the same run, with another's data: its replication id is a new one.
  const lineage = /^master_replid:(\S+)/m.exec(await client.info("replication"))?.[1];
  if (run !== undefined && lineage !== undefined) return `${run}.${lineage}.${LAYOUT}`;
  await client.set(RUN_ID_KEY, randomUUID(), "NX");
  const minted = await client.get(RUN_ID_KEY);
  if (minted === null) throw unavailable("Redis");
  return `${minted}.${LAYOUT}`;
}

/** How long a lost connection waits before it is tried again, by attempt, milliseconds. */
export const reconnectWait = (attempt: number): number => Math.min(RECONNECT_MIN_MS * attempt, RECONNECT_MAX_MS);

/** The socket has ended and its "close" is still to come: ioredis says so before it writes anything. */
function asNotSent(error: unknown): never {
  if (error instanceof Error && error.message.startsWith("Stream isn't writeable")) throw new NotSent("Redis");
  throw error;
}
