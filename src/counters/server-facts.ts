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

const TRIPS = 5;

/** Asks the server about itself; throws `unavailable`. */
export async function redisFacts(connection: RedisConnection, clock: Clock): Promise<RedisFacts> {
  const trips: { ms: number; aheadMs: number }[] = [];
  for (let i = 0; i < TRIPS; i++) {
    const [since, from] = [monotonicMs(), clock.now()];
    const [seconds = 0, micros = 0] = (await connection.call((client) => client.time())).map(Number);
    const aheadMs = seconds * 1_000 + Math.floor(micros / 1_000) - Math.round((from + clock.now()) / 2);
    trips.push({ ms: monotonicMs() - since, aheadMs });
  }
  trips.sort((a, b) => a.ms - b.ms);
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
    latencyMs: trips[Math.floor(TRIPS / 2)]?.ms ?? 0,
    // Its answer was made somewhere on the way: half a round trip is as far as this can be wrong, so the shortest knows best.
    aheadMs: trips[0]?.aheadMs ?? 0,
  };
}
