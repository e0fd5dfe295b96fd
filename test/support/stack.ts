import postgres from "postgres";
import { Redis } from "ioredis";
import { inject } from "vitest";
import { randomBase62 } from "../../src/kernel/ids.ts";
import type { RedisAddress } from "../../src/stores/redis-servers.ts";
import { tempDir } from "./temp-dir.ts";

/** Stores that no other test file sees. */
export interface TestStack {
  /** A migrated database of its own. */
  databaseUrl: string;
  /** Where the counters live: `redisServer`, or the nodes of a cluster, which test files use one after the other. */
  redisUrl: RedisAddress;
  /** A logical database of its own (`…/17`): FLUSHDB is safe, FLUSHALL is not. */
  redisServer: string;
  /** Makes the counters' servers forget everything. */
  loseRedis(): Promise<void>;
  /** Unique; for what lives outside a logical database, such as channels. */
  keyPrefix: string;
  /** An empty folder of its own. */
  dataDir: string;
  /** Drops all of it. Close your own connections first. */
  stop(): Promise<void>;
}

/**
 * Makes the stores of one test file: call it in `beforeAll`, `stop` in `afterAll`. A stack that is never stopped (a test
 * that crashed) goes when the run's servers do.
 */
export async function createTestStack(): Promise<TestStack> {
  const servers = inject("servers");
  const number = await nextNumber(servers.redisUrl, servers.redisDatabases);
  const name = `weir_test_${number}_${randomBase62(6).toLowerCase()}`;
  const dir = tempDir("stack");
  // WAL_LOG (the default) copies the template page by page: 60 ms; FILE_COPY takes two checkpoints.
  await maintain(servers.postgresUrl, `CREATE DATABASE ${name} TEMPLATE ${servers.template}`);
  const redisServer = withPath(servers.redisUrl, String(number));
  const loseRedis = (): Promise<void> => (servers.redisCluster === null ? flush(redisServer) : flushCluster(servers.redisCluster));
  return {
    databaseUrl: withPath(servers.postgresUrl, name),
    redisUrl: servers.redisCluster ?? redisServer,
    redisServer,
    loseRedis,
    keyPrefix: `${name}:`,
    dataDir: dir.path,
    stop: async () => {
      // FORCE ends the connections that a failed test left open.
      await maintain(servers.postgresUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await loseRedis();
      dir.remove();
    },
  };
}

function withPath(url: string, path: string): string {
  const changed = new URL(url);
  changed.pathname = `/${path}`;
  return changed.href;
}

const flush = (redisUrl: string): Promise<void> => withRedis(redisUrl, async (client) => void (await client.flushdb()));

/** Replicas refuse. */
async function flushCluster(nodes: readonly string[]): Promise<void> {
  await Promise.all(nodes.map((node) => flush(`redis://${node}`).catch(() => {})));
}

async function nextNumber(redisUrl: string, databases: number): Promise<number> {
  const number = await withRedis(redisUrl, (client) => client.incr("stacks"));
  if (number >= databases) throw new Error(`More than ${databases} test stacks in one run.`);
  return number;
}

async function withRedis<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { protocol: 2 });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function maintain(url: string, statement: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
