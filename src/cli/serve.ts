import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { startJobs } from "../../jobs/worker.ts";
import { findAccount, putAccount } from "../accounts/account-store.ts";
import type { Config } from "../config.ts";
import { createEngine, type Engine } from "../engine.ts";
import { buildApp } from "../http/app.ts";
import { BACKLOG } from "./backlog.ts";
import { DRAIN_MS, drained } from "./drained.ts";
import { keepCertificate, listenerOptions } from "./listeners.ts";
import { outboxOptions } from "./outbox-options.ts";
import { startWorkers } from "./workers.ts";
import { systemClock } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import { openState } from "../state/open-state.ts";
import { migrate } from "../stores/migrate.ts";
import type { RedisAddress } from "../stores/redis-servers.ts";
import { TestClock } from "../stores/test-clock.ts";

export const DEMO_ACCOUNT = "acct_demo";
const DEMO_PLAN = "free";
export const QUEUE_NAME = "jobs";
const LOOPBACK = "127.0.0.1";

/** What `start` has opened and read. */
export interface Ground {
  config: Config;
  databaseUrl: string;
  redisUrl: RedisAddress;
  /** Whether our own Redis keeps what it acknowledges; null for a Redis that REDIS_URL names. */
  redisDurable: boolean | null;
  /** The operator's key, scope `admin`. */
  adminKey: string;
  /** Processes that serve the API; with one this process does it itself. */
  workers: number;
  /** Whether jobs that any process may run are run by this one; those of State always are. */
  runsJobs: boolean;
  /** Told what a person should know, one sentence a call. */
  log: (line: string) => void;
}

export interface Served {
  /** The port that was bound (PORT may be 0). */
  port: number;
  /** The operator's own; null where there is none. */
  adminPort: number | null;
  /** Takes no new request, finishes those under way, stops the jobs, closes the stores. */
  close(): Promise<void>;
}

/** The composition of a running Weir: schema, engine, demo account, data plane, jobs, HTTP; listening when it returns. */
export async function serve(ground: Ground): Promise<Served> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let next = closers.pop(); next; next = closers.pop()) await next();
  };
  try {
    return { ...(await open(ground, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open({ config, log, ...ground }: Ground, closers: (() => Promise<void>)[]): Promise<Omit<Served, "close">> {
  const { redisUrl, redisDurable, adminKey } = ground;
  const onTrouble = (error: unknown): void => log(sentence(error));
  await migrate(ground.databaseUrl).catch((error: unknown) => {
    throw new Error(`The database cannot be prepared (${sentence(error)}): see DATABASE_URL.`, { cause: error });
  });
  const testClock = config.testClock ? await TestClock.open(ground.databaseUrl) : null;
  if (testClock) closers.push(() => testClock.close());
  const { database, invoiceGraceHours, retention, hotAccounts, payments } = config;
  const outbox = outboxOptions(config);
  const engine = await connect({
    ...ground,
    database,
    clock: testClock?.clock ?? systemClock,
    onTrouble,
    outbox,
    invoiceGraceHours,
    retention,
    hotAccounts,
    payments,
    joins: false,
  });
  closers.push(() => engine.close());
  await seedDemo(engine);
  const state = await openState(engine, join(config.dataDir, "state"), onTrouble, config.profile);
  closers.push(() => state.close());
  const isAlone = ground.workers === 1;
  const app = await buildApp({
    engine,
    state,
    adminKey,
    redisDurable,
    profile: config.profile,
    runJobs: () => jobs.runAll(),
    ...trusting(config.trustProxy, ground.workers > 1),
    // stdout holds the ready line alone.
    logger: { level: config.logLevel, stream: process.stderr },
    ...(testClock === null ? {} : { testClock }),
    ...(await listenerOptions(config, { isPublic: isAlone })),
  });
  // Not before: routes take a second to make, in which nobody's call is heard. And not later: jobs count and book.
  await engine.join();
  const jobs = await startJobs({ engine, state, redisUrl, queueName: QUEUE_NAME, onTrouble, onlyOfState: !ground.runsJobs });
  closers.push(() => jobs.close());
  closers.push(async () => {
    if (isAlone) await drained(app.server, DRAIN_MS);
    await app.close();
  });
  await app.listen({ ...(isAlone ? { host: config.host, port: config.port } : { host: LOOPBACK, port: 0 }), backlog: BACKLOG });
  const forget = keepCertificate(app, config, onTrouble);
  closers.push(async () => forget());
  const adminPort = config.admin && app.operatorListener ? await app.operatorListener.listen(config.admin.host, config.admin.port) : null;
  const { port } = app.server.address() as AddressInfo;
  if (isAlone) return { port, adminPort };
  const workers = await startWorkers(ground.workers, { ...ground, config, statePort: port }, log);
  closers.push(() => workers.close());
  renewWhenTold(workers, log);
  return { port: workers.port, adminPort };
}

/** As deployments ask for new processes without a pause: nginx' and unicorn's signal. */
function renewWhenTold(workers: Awaited<ReturnType<typeof startWorkers>>, log: Ground["log"]): void {
  process.on("SIGUSR2", () => {
    log("renewing the workers …");
    workers.renew().then(
      () => log("the workers are renewed."),
      (error: unknown) => log(`the workers could not be renewed: ${sentence(error)}`),
    );
  });
}

/** Behind workers of ours there is one proxy more, on this machine. */
function trusting(trust: Config["trustProxy"], isBehindWorkers: boolean): { trustProxy?: number | string[] } {
  if (!isBehindWorkers) return trust === null ? {} : { trustProxy: trust };
  return { trustProxy: typeof trust === "number" ? trust + 1 : [LOOPBACK, ...(trust ?? [])] };
}

async function connect(options: Parameters<typeof createEngine>[0]): Promise<Engine> {
  try {
    return await createEngine(options);
  } catch (error) {
    if (!(error instanceof WeirError && error.code === "unavailable")) throw error;
    throw new Error("Redis or Postgres does not answer: see REDIS_URL (or REDIS_CLUSTER_NODES) and DATABASE_URL.", { cause: error });
  }
}

async function seedDemo(engine: Engine): Promise<void> {
  const now = engine.clock.now();
  if (await findAccount(engine.db, DEMO_ACCOUNT, now)) return;
  await putAccount(engine.db, DEMO_ACCOUNT, { name: "Demo" }, { defaultPlan: DEMO_PLAN, bucketStart: now }, now);
}

/** A connection refused on both IPv4 and IPv6 comes as an AggregateError, whose own message is empty. */
function sentence(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(sentence).join(", ");
  return error instanceof Error ? error.message : String(error);
}
