import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Config } from "../config.ts";
import { migrate } from "../stores/migrate.ts";

export const DEMO_ACCOUNT = "acct_demo";

/** What `start` has opened and read. */
export interface Ground {
  config: Config;
  databaseUrl: string;
  redisUrl: string;
  /** Whether our own Redis keeps what it acknowledges; null for a Redis that REDIS_URL names. */
  redisDurable: boolean | null;
  /** The operator's key, scope `admin`. */
  adminKey: string;
  log: (line: string) => void;
}

export interface Served {
  /** The port that was bound (PORT may be 0). */
  port: number;
  /** Takes no new request, finishes those under way, stops the jobs, closes the stores. */
  close(): Promise<void>;
}

/** The composition of a running Weir: schema, engine, demo account, jobs, HTTP; listening when it returns. */
export async function serve(ground: Ground): Promise<Served> {
  await migrate(ground.databaseUrl);
  const server = createServer((_request, response) => response.end("ok"));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(ground.config.port, ground.config.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
