import type { AddressInfo } from "node:net";
import { request } from "node:http";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Engine } from "../../../src/engine.ts";
import { buildApp } from "../../../src/http/app.ts";
import { openState } from "../../../src/state/open-state.ts";
import type { State } from "../../../src/state/state.ts";
import { WeirCommand } from "../../support/weir-command.ts";
import type { Bench } from "../bench.ts";

/** The operator's key that a benchmark's server knows. */
export const KEY = "the-benchmark-operator-key";

/** Weir over HTTP, on a port of its own. */
export interface Served {
  port: number;
  state: State;
}

/** Serves the engine as `npm start` does, without jobs. */
export async function serve(bench: Bench, engine: Engine): Promise<Served> {
  const state = await openState(engine, join(bench.dataDir, "state"), (error) => bench.say(String(error)));
  bench.closers.push(() => state.close());
  const app = await buildApp({ engine, state, adminKey: KEY, redisDurable: null, runJobs: async () => {} });
  return { port: await listening(bench, app), state };
}

/** Serves the same stores as `weir serve --workers N` does, without jobs; answers the port. */
export async function serveWorkers(bench: Bench, workers: number): Promise<number> {
  const env = {
    ...process.env,
    DATABASE_URL: bench.databaseUrl,
    REDIS_URL: bench.redisUrl,
    WEIR_DATA_DIR: join(bench.dataDir, "workers"),
    WEIR_ADMIN_KEY: KEY,
    PORT: "0",
  };
  const command = await WeirCommand.start(["serve", "--workers", String(workers), "--no-jobs"], env, (line) => bench.say(line));
  bench.closers.push(async () => void (await command.stop()));
  return Number(new URL(command.url ?? "").port);
}

/** Listens on a free port until the benchmark ends. */
export async function listening(bench: Bench, app: Pick<FastifyInstance, "listen" | "close" | "server">): Promise<number> {
  bench.closers.push(() => app.close());
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
}

/** Asks for something of an account's as the operator, reads the answer to its end, and keeps nothing of it. */
export function get(port: number, path: string, account: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, headers: { authorization: `Bearer ${KEY}`, "weir-account": account } }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`answered ${response.statusCode}`));
      response.on("end", resolve).on("error", reject).resume();
    });
    sent.on("error", reject).end();
  });
}
