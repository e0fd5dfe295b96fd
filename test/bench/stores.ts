import postgres from "postgres";
import { Redis } from "ioredis";
import { createEngine, type Engine } from "../../src/engine.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { startPostgres } from "../../src/servers/postgres.ts";
import { startRedis } from "../../src/servers/redis.ts";
import { migrate } from "../../src/stores/migrate.ts";
import type { Bench } from "./bench.ts";

/** One Postgres and one Redis, set up as `npm start` sets them up, for all benchmarks of a run. */
export interface Stores {
  /** Empties Redis, makes a database, and answers with both addresses. */
  fresh(name: string): Promise<{ databaseUrl: string; redisUrl: string }>;
  postgresVersion: string;
  redisVersion: string;
  stop(): Promise<void>;
}

export async function startStores(dataDir: string, log: (line: string) => void): Promise<Stores> {
  const [pg, redis] = await Promise.all([startPostgres({ dataDir, log }), startRedis({ dataDir, log })]);
  const client = new Redis(redis.url, { protocol: 2 });
  const maintenance = postgres(pg.url, { max: 1, onnotice: () => {} });
  const [row] = await maintenance`show server_version`;
  return {
    postgresVersion: String(row?.["server_version"]),
    redisVersion: /^redis_version:(\S+)/m.exec(await client.info("server"))?.[1] ?? "unknown",
    fresh: async (name) => {
      await client.flushall();
      const database = `bench_${name.replaceAll("-", "_")}`;
      await maintenance.unsafe(`drop database if exists ${database} with (force)`);
      await maintenance.unsafe(`create database ${database}`);
      const url = new URL(pg.url);
      url.pathname = `/${database}`;
      await migrate(url.href);
      return { databaseUrl: url.href, redisUrl: redis.url };
    },
    stop: async () => {
      client.disconnect();
      await maintenance.end();
      await Promise.all([pg.stop(), redis.stop()]);
    },
  };
}

/** An engine in this process, on the benchmark's stores. */
export async function openEngine(bench: Bench): Promise<Engine> {
  const { databaseUrl, redisUrl } = bench;
  // A shared machine stalls: what is measured is how fast a store answers, not whether it does.
  const engine = await createEngine({
    databaseUrl,
    redisUrl,
    clock: systemClock,
    redisTimeoutMs: 5_000,
    onTrouble: (error) => bench.say(String(error)),
  });
  bench.closers.push(() => engine.close());
  return engine;
}

/** A plain client on the benchmark's Redis, with the driver's own settings. */
export function openClient(bench: Bench): Redis {
  const client = new Redis(bench.redisUrl);
  bench.closers.push(() => client.disconnect());
  return client;
}
