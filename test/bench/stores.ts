import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { Redis } from "ioredis";
import { createEngine, type Engine } from "../../src/engine.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { startPostgres } from "../../src/servers/postgres.ts";
import { startRedis, type RedisServer } from "../../src/servers/redis.ts";
import { migrate } from "../../src/stores/migrate.ts";
import type { Addresses, Bench } from "./bench.ts";

/** One Postgres and one Redis, set up as `npm start` sets them up, for all benchmarks of a run. */
export interface Stores {
  /** Empties Redis, makes a database, and answers with both addresses. */
  fresh(name: string): Promise<Addresses>;
  /** The same for a second system beside the first, on a second Redis: what one keeps is no burden to the other. */
  freshSecond(name: string): Promise<Addresses>;
  postgresVersion: string;
  redisVersion: string;
  stop(): Promise<void>;
}

export async function startStores(dataDir: string, log: (line: string) => void): Promise<Stores> {
  const [pg, redis] = await Promise.all([startPostgres({ dataDir, log }), startRedis({ dataDir, log })]);
  const client = new Redis(redis.url, { protocol: 2 });
  const maintenance = postgres(pg.url, { max: 1, onnotice: () => {} });
  const [row] = await maintenance`show server_version`;
  const makeDatabase = async (name: string): Promise<string> => {
    const database = `bench_${name.replaceAll("-", "_")}`;
    await maintenance.unsafe(`drop database if exists ${database} with (force)`);
    await maintenance.unsafe(`create database ${database}`);
    const url = new URL(pg.url);
    url.pathname = `/${database}`;
    await migrate(url.href);
    return url.href;
  };
  let second: RedisServer | null = null;
  return {
    postgresVersion: String(row?.["server_version"]),
    redisVersion: /^redis_version:(\S+)/m.exec(await client.info("server"))?.[1] ?? "unknown",
    fresh: async (name) => {
      await client.flushall();
      return { databaseUrl: await makeDatabase(name), redisUrl: redis.url };
    },
    freshSecond: async (name) => {
      const folder = join(dataDir, "second");
      await mkdir(folder, { recursive: true });
      second ??= await startRedis({ dataDir: folder, log });
      const emptied = new Redis(second.url, { protocol: 2 });
      await emptied.flushall().finally(() => emptied.disconnect());
      return { databaseUrl: await makeDatabase(`${name}_second`), redisUrl: second.url };
    },
    stop: async () => {
      client.disconnect();
      await maintenance.end();
      await Promise.all([pg.stop(), redis.stop(), second?.stop()]);
    },
  };
}

/** An engine in this process, on the benchmark's stores or on `addresses`; closed with the benchmark. */
export async function openEngine(bench: Bench, addresses: Addresses = bench): Promise<Engine> {
  const engine = await openLastingEngine(bench, addresses);
  bench.closers.push(() => engine.close());
  return engine;
}

/** The same, not closed: closing it would end the lives of all accounts that it loaded, one by one, on stores that are thrown away. */
export async function openLastingEngine(bench: Bench, { databaseUrl, redisUrl }: Addresses = bench): Promise<Engine> {
  // A shared machine stalls: what is measured is how fast a store answers, not whether it does.
  return createEngine({
    databaseUrl,
    redisUrl,
    clock: systemClock,
    redisTimeoutMs: 5_000,
    onTrouble: (error) => bench.say(String(error)),
  });
}

/** A plain client on the benchmark's Redis, with the driver's own settings. */
export function openClient(bench: Bench): Redis {
  const client = new Redis(bench.redisUrl);
  bench.closers.push(() => client.disconnect());
  return client;
}
