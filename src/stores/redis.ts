import { Redis } from "ioredis";
import { NotSent } from "../kernel/errors.ts";
import { BoundedCalls } from "./bounded-calls.ts";
import { Incarnation, readRunId } from "./redis-incarnation.ts";

/** A call that has no answer by then counts as unknown; the caller is told 503, within 250 ms in all. */
export const COMMAND_TIMEOUT_MS = 200;
/** More in flight only make every answer later: throughput is flat from 64 on. */
const IN_FLIGHT_MAX = 256;
/** Calls in line beyond these are refused: at 30,000 a second they would wait a second. */
const WAITING_MAX = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1_000;

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
  const incarnation = new Incarnation(() => calls.run(() => readRunId(client)));
  // Connected, but not answering: start over, or the process would stay without a run id for good.
  client.on("ready", () => void incarnation.learn().catch(() => client.disconnect(true)));
  // From here to the next "ready" nothing may be sent: the server behind the next connection may be another one.
  client.on("close", () => {
    incarnation.forget();
    // ioredis 6.0 leaves what was under way unsettled for ever when it does not re-send.
    calls.failAll();
  });
  // Every command reports its own failure; without a listener ioredis prints each lost connection to the console.
  client.on("error", () => {});

  return {
    client,
    call: (send) => calls.run(() => send(client).catch(asNotSent)),
    runId: () => incarnation.runId,
    ready: (timeoutMs) => incarnation.known(timeoutMs),
    reconnect: () => client.disconnect(true),
    onDoubt: (listener) => void doubters.push(listener),
    onRunChange: (listener) => incarnation.onChange(listener),
    close: async () => {
      incarnation.close();
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

/** How long a lost connection waits before it is tried again, by attempt, milliseconds. */
export const reconnectWait = (attempt: number): number => Math.min(RECONNECT_MIN_MS * attempt, RECONNECT_MAX_MS);

/** The socket has ended and its "close" is still to come: ioredis says so before it writes anything. */
function asNotSent(error: unknown): never {
  if (error instanceof Error && error.message.startsWith("Stream isn't writeable")) throw new NotSent("Redis");
  throw error;
}
