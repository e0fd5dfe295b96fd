import type { TestProject } from "vitest/node";
import postgres from "postgres";
import { startPostgres } from "../../src/servers/postgres.ts";
import { startRedis } from "../../src/servers/redis.ts";
import { migrate } from "../../src/stores/migrate.ts";
import { TestCluster } from "./redis-cluster.ts";
import { tempDir } from "./temp-dir.ts";

/** Every test file has a database of its own, copied from this one, in which the migrations have run. */
const TEMPLATE = "weir_template";
/** One logical Redis database a test file; 0 counts them out. */
const REDIS_DATABASES = 4_096;
/** Files run two at a time, each with a few pools of ten. */
const MAX_CONNECTIONS = 300;

/** What a test file needs to make its stack (stack.ts). */
export interface TestServers {
  /** The maintenance database: databases are created through it. */
  postgresUrl: string;
  template: string;
  redisUrl: string;
  redisDatabases: number;
  /** Nodes of a cluster to be used in place of that server (`npm run test:cluster`); null where there is none. */
  redisCluster: string[] | null;
}

declare module "vitest" {
  interface ProvidedContext {
    servers: TestServers;
  }
}

/** Starts one Postgres and one Redis for the run. Should the run be killed, their watchers stop them all the same. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = tempDir("run");
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const clustered = process.env["WEIR_TEST_REDIS"] === "cluster";
  const [pg, redis, cluster] = await Promise.all([
    startPostgres({ dataDir: dir.path, fast: true, maxConnections: MAX_CONNECTIONS, log }),
    startRedis({ dataDir: dir.path, appendOnly: false, databases: REDIS_DATABASES, log }),
    clustered ? TestCluster.start(dir.path) : null,
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all([pg.stop(), redis.stop(), cluster?.stop()]);
    dir.remove();
  };
  try {
    await createTemplate(pg.url);
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide("servers", {
    postgresUrl: pg.url,
    template: TEMPLATE,
    redisUrl: redis.url,
    redisDatabases: REDIS_DATABASES,
    redisCluster: cluster?.addresses ?? null,
  });
  return stop;
}

async function createTemplate(maintenanceUrl: string): Promise<void> {
  const sql = postgres(maintenanceUrl, { max: 1 });
  try {
    await sql.unsafe(`CREATE DATABASE ${TEMPLATE}`);
    const url = new URL(maintenanceUrl);
    url.pathname = `/${TEMPLATE}`;
    await migrate(url.href);
  } finally {
    await sql.end();
  }
}
