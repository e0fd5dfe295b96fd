import { monotonicMs, type Clock } from "../kernel/clock.ts";
import type { RedisConnection } from "../stores/redis.ts";

/** What a Redis says of itself; null where it does not say. */
export interface RedisFacts {
  version: string | null;
  runId: string;
  /** Whether what it acknowledges is written to a file. */
  appendOnly: boolean | null;
  /** What it does when memory is full; only `noeviction` never drops a key. */
  evictionPolicy: string | null;
  usedBytes: number | null;
  /** 0 for no bound. */
  maxBytes: number | null;
  /** The median of a few round trips, milliseconds. */
  latencyMs: number;
  /** How far its clock is ahead of ours, milliseconds. */
  aheadMs: number;
}

const PINGS = 5;

/** Asks the server about itself; throws `unavailable`. */
export async function redisFacts(connection: RedisConnection, clock: Clock): Promise<RedisFacts> {
  const trips: number[] = [];
  for (let i = 0; i < PINGS; i++) {
    const from = monotonicMs();
    await connection.call((client) => client.ping());
    trips.push(monotonicMs() - from);
  }
  const from = clock.now();
  const [seconds = 0, micros = 0] = (await connection.call((client) => client.time())).map(Number);
  // Its answer was made somewhere between the two: half a round trip is as far as this can be wrong.
  const aheadMs = seconds * 1_000 + Math.floor(micros / 1_000) - Math.round((from + clock.now()) / 2);
  const info = await connection.call((client) => client.info());
  const said = (name: string): string | null => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? null;
  const number = (name: string): number | null => (said(name) === null ? null : Number(said(name)));
  const aof = said("aof_enabled");
  return {
    version: said("redis_version"),
    runId: connection.runId(),
    appendOnly: aof === null ? null : aof === "1",
    evictionPolicy: said("maxmemory_policy"),
    usedBytes: number("used_memory"),
    maxBytes: number("maxmemory"),
    latencyMs: trips.toSorted((a, b) => a - b)[Math.floor(PINGS / 2)] ?? 0,
    aheadMs,
  };
}
