/** A process that serves the API beside others on one port (workers.ts); State it asks of the process that started it. */
import type { AddressInfo } from "node:net";
import type { Config } from "../config.ts";
import { createEngine } from "../engine.ts";
import { buildApp } from "../http/app.ts";
import { relayState } from "../http/relay.ts";
import { sleep, systemClock } from "../kernel/clock.ts";
import type { RedisAddress } from "../stores/redis-servers.ts";
import { BACKLOG } from "./backlog.ts";
import { DRAIN_MS, drained } from "./drained.ts";
import { keepCertificate, listenerOptions } from "./listeners.ts";
import { outboxOptions } from "./outbox-options.ts";

/** What the starting process tells it. */
export interface WorkerGround {
  config: Config;
  databaseUrl: string;
  redisUrl: RedisAddress;
  redisDurable: boolean | null;
  adminKey: string;
  statePort: number;
}

/** From being told to stop until it ends, whatever is open by then. */
const DRAIN_TIME_LIMIT_MS = 8_000;

/** Connects, listens, and says on which port. Resolves with what stops it again. */
async function open({ config, databaseUrl, redisUrl, redisDurable, adminKey, statePort }: WorkerGround): Promise<() => Promise<void>> {
  const onTrouble = (error: unknown): void =>
    void process.stderr.write(`Weir: ${error instanceof Error ? error.message : String(error)}\n`);
  const engine = await createEngine({
    databaseUrl,
    database: config.database,
    redisUrl,
    clock: systemClock,
    onTrouble,
    outbox: outboxOptions(config),
    invoiceGraceHours: config.invoiceGraceHours,
    hotAccounts: config.hotAccounts,
    payments: config.payments,
    joins: false,
  });
  const app = await buildApp({
    engine,
    state: null,
    adminKey,
    redisDurable,
    profile: config.profile,
    runJobs: () => Promise.resolve(),
    ...(config.trustProxy === null ? {} : { trustProxy: config.trustProxy }),
    logger: { level: config.logLevel, stream: process.stderr },
    ...(await listenerOptions(config, { isPublic: true })),
  });
  relayState(app, statePort);
  // Not before: routes take a second to make, in which nobody's call is heard.
  await engine.join();
  await app.listen({ host: config.host, port: config.port, backlog: BACKLOG });
  const forget = keepCertificate(app, config, onTrouble);
  process.send?.({ port: (app.server.address() as AddressInfo).port });
  return async () => {
    forget();
    await drained(app.server, DRAIN_MS);
    await app.close();
    await engine.close();
  };
}

let stopping = false;
let opened: Promise<() => Promise<void>> | null = null;

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  const closed = (opened ?? Promise.resolve(async () => {})).then((close) => close());
  await Promise.race([closed, sleep(DRAIN_TIME_LIMIT_MS)]).catch(() => {});
  process.exit(0);
}

// The terminal's Ctrl-C reaches every process of the group; the one that started this says when.
for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
process.on("SIGTERM", () => void stop());
process.on("disconnect", () => void stop());
process.once("message", (ground: WorkerGround) => {
  opened = open(ground);
  opened.catch((error: unknown) => {
    process.stderr.write(`Weir: a worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
});
