import { Cluster, Redis } from "ioredis";
import { sleep } from "../kernel/clock.ts";
import { NotSent } from "../kernel/errors.ts";
import { nodeUrl, RedisCluster, type RedisServers } from "./redis-cluster.ts";
import { openRedis, reconnectWait, type RedisConnection, type RedisOptions } from "./redis.ts";

export type { RedisServers } from "./redis-cluster.ts";

/** One server's URL, or nodes of a cluster as URLs or host:port; the first URL's user, password and TLS hold for all. */
export type RedisAddress = string | readonly string[];

/** Opens the connections that usage is counted on. */
export function openRedisServers(address: RedisAddress, options: RedisOptions = {}): RedisServers {
  if (typeof address !== "string") return new RedisCluster(address, options);
  const only = openRedis(address, options);
  return { ...only, holding: () => only, slotOf: () => 0, all: () => [only], look: () => Promise.resolve() };
}

/** Times a call is sent again because the key is on its way to another server, and how far apart: in all, less than a silent server is waited for. */
const MOVES_MAX = 10;
const MOVE_WAIT_MS = 15;

/**
 * Sends to the server that holds `key`. An answer that it holds the key no longer, or not wholly yet, means that nothing was done: then
 * it goes to whoever holds it now, with that server's run id.
 */
export async function atHolder<T>(redis: RedisServers, key: string, send: (connection: RedisConnection) => Promise<T>): Promise<T> {
  for (let moves = 0; ; moves++) {
    try {
      return await send(redis.holding(key));
    } catch (error) {
      if (!isElsewhere(error)) throw error;
      if (moves === MOVES_MAX) throw new NotSent("Redis");
      if (moves > 0) await sleep(MOVE_WAIT_MS);
      await redis.look();
    }
  }
}

const isElsewhere = (error: unknown): boolean => error instanceof Error && /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(error.message);

/** Options for BullMQ, which wants to wait for ever on its blocking reads: its connections are never the metering one. */
export function queueConnection(address: RedisAddress): Redis | Cluster {
  const patient = { maxRetriesPerRequest: null, protocol: 2, retryStrategy: reconnectWait } as const;
  const client =
    typeof address === "string"
      ? new Redis(address, patient)
      : new Cluster(address.map(nodeUrl), { redisOptions: patient, clusterRetryStrategy: reconnectWait });
  client.on("error", () => {});
  return client;
}
