import { startJobs } from "../../jobs/worker.ts";
import { readConfig } from "../config.ts";
import { createEngine } from "../engine.ts";
import { sleep, systemClock } from "../kernel/clock.ts";
import { EXIT } from "./exit.ts";
import { outboxOptions } from "./outbox-options.ts";
import { QUEUE_NAME } from "./serve.ts";

/** From the first signal to the end, whatever is still running by then. */
const DRAIN_TIME_LIMIT_MS = 10_000;

/** `weir worker`: runs jobs, and serves nothing, until it is told to stop. Those of State's own run where State is. */
export async function work(concurrency: number | undefined): Promise<void> {
  const config = readConfig(process.env);
  const { databaseUrl, database, redisUrl, invoiceGraceHours, retention, hotAccounts, payments } = config;
  if (databaseUrl === null || redisUrl === null) {
    say("a worker works for a Weir that runs: set DATABASE_URL, and REDIS_URL or REDIS_CLUSTER_NODES, to its stores.");
    process.exit(EXIT.usage);
  }
  const onTrouble = (error: unknown): void => say(error instanceof Error ? error.message : String(error));
  const outbox = outboxOptions(config);
  const engine = await createEngine({
    databaseUrl,
    database,
    redisUrl,
    clock: systemClock,
    onTrouble,
    outbox,
    invoiceGraceHours,
    retention,
    hotAccounts,
    payments,
  });
  const jobs = await startJobs({ engine, state: null, redisUrl, queueName: QUEUE_NAME, onTrouble, concurrency });
  const stop = async (): Promise<void> => {
    const closed = jobs.close().then(() => engine.close());
    const inTime = await Promise.race([closed.then(() => true), sleep(DRAIN_TIME_LIMIT_MS).then(() => false)]).catch(() => false);
    process.exit(inTime ? EXIT.ok : EXIT.failed);
  };
  // Before the line that says so: whoever reads it may stop this at once.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
  process.stdout.write("Weir's worker is ready\n");
}

const say = (line: string): void => void process.stderr.write(`Weir: ${line}\n`);
