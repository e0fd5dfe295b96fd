import { SpanStatusCode, trace } from "@opentelemetry/api";
import { Queue, Worker } from "bullmq";
import type { Engine } from "../src/engine.ts";
import type { State } from "../src/state/state.ts";
import { queueConnection, type RedisAddress } from "../src/stores/redis-servers.ts";
import { forgetEvents } from "./forget-events.ts";
import { checkInvariants } from "./check-invariants.ts";
import { closeBillingPeriods } from "./close-periods.ts";
import { countTime } from "./count-time.ts";
import { deliverAlarms } from "./deliver-alarms.ts";
import { deliverWebhooks } from "./deliver-webhooks.ts";
import { forgetOldDeliveries } from "./forget-deliveries.ts";
import { detachOldMonths } from "./detach-old-months.ts";
import type { Job } from "./job.ts";
import { forgetKeys } from "./forget-keys.ts";
import { forgetOldLeases } from "./forget-leases.ts";
import { forgetOldObjectRequests } from "./forget-object-requests.ts";
import { handOverInvoices } from "./hand-over-invoices.ts";
import { indexClosedMonths } from "./index-closed-months.ts";
import { prepareLedger } from "./prepare-ledger.ts";
import { rollUpUsage } from "./roll-up-usage.ts";
import { sumOldDays } from "./sum-old-days.ts";
import { tellResets } from "./tell-window-resets.ts";
import { tellUsage } from "./tell-usage.ts";
import { watchPrepaidCredits } from "./watch-credits.ts";
import { watchUsageRates } from "./watch-rates.ts";

/** What runs in any process. Delivering comes after whatever may have something to tell. */
export const JOBS: readonly Job[] = [
  rollUpUsage,
  tellResets,
  watchUsageRates,
  closeBillingPeriods,
  watchPrepaidCredits,
  handOverInvoices,
  tellUsage,
  deliverWebhooks,
  prepareLedger,
  indexClosedMonths,
  sumOldDays,
  detachOldMonths,
  forgetEvents,
  forgetKeys,
  forgetOldLeases,
  forgetOldObjectRequests,
  forgetOldDeliveries,
  checkInvariants,
];

// They run where State is: a queue of their own, so that no process takes what it cannot do.
const stateJobs = (state: State): readonly Job[] => [deliverAlarms(state), countTime(state)];

/** A braced prefix keeps the queue in one slot of a cluster. */
const QUEUE_PREFIX = "{weir}";
/** A job whose worker is killed may be taken up again this often; at BullMQ's default of 1 the second kill ends it for good. */
const STALLS_MAX = 1_000;
/** Finished jobs tell nobody anything: a few stay for whoever looks. */
const KEEP_COMPLETED = 100;
const KEEP_FAILED = 1_000;
/** Each worker rings by itself too, this much later than the queue would have. */
const SWEEP_FACTOR = 2;
const CLOSE_TIMEOUT_MS = 3_000;

export interface Jobs {
  /** Runs every job once, in order, and resolves when all are done. */
  runAll(): Promise<void>;
  close(): Promise<void>;
}

export interface JobsOptions {
  engine: Engine;
  /** Null where another process holds it: its jobs run there. */
  state: State | null;
  redisUrl: RedisAddress;
  queueName: string;
  onTrouble: (error: unknown) => void;
  /** The others are left to other processes. */
  onlyOfState?: boolean;
  /** Jobs run at once; all kinds unless told. */
  concurrency?: number | undefined;
}

/** Starts ringing and running the jobs in this process. Any number of processes may. */
export async function startJobs({ state, queueName, onlyOfState = false, ...options }: JobsOptions): Promise<Jobs> {
  const ofState = state ? [await startQueue(stateJobs(state), `${queueName}-state`, options)] : [];
  const others = onlyOfState ? [] : [await startQueue(JOBS, queueName, options)];
  // Alarms come first: what they use up is told in the same round.
  const queues = [...ofState, ...others];
  return {
    runAll: async () => {
      for (const queue of queues) await queue.runAll();
    },
    close: async () => void (await Promise.all(queues.map((queue) => queue.close()))),
  };
}

async function startQueue(
  jobs: readonly Job[],
  queueName: string,
  { engine, redisUrl, onTrouble, concurrency }: Omit<JobsOptions, "state" | "queueName" | "onlyOfState">,
): Promise<Jobs> {
  const bell = new Bells(engine, jobs, onTrouble);
  const connection = queueConnection(redisUrl);
  const workerConnection = queueConnection(redisUrl);
  const queue = new Queue(queueName, {
    connection,
    prefix: QUEUE_PREFIX,
    defaultJobOptions: { removeOnComplete: { count: KEEP_COMPLETED }, removeOnFail: { count: KEEP_FAILED } },
  });
  const worker = new Worker(queueName, (job) => bell.ring(job.name), {
    connection: workerConnection,
    prefix: QUEUE_PREFIX,
    maxStalledCount: STALLS_MAX,
    concurrency: concurrency ?? jobs.length,
  });
  queue.on("error", onTrouble);
  worker.on("error", onTrouble);
  for (const job of jobs) await queue.upsertJobScheduler(job.name, { every: job.everyMs }, { name: job.name });
  const timers = jobs.map((job) => setInterval(() => void bell.ringIfSilent(job), job.everyMs * SWEEP_FACTOR));
  return {
    runAll: async () => {
      for (const job of jobs) await job.run(engine);
    },
    close: async () => {
      for (const timer of timers) clearInterval(timer);
      const closing = Promise.all([worker.close(), queue.close()]).then(() => bell.idle());
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref());
      await Promise.race([closing, late]);
      connection.disconnect();
      workerConnection.disconnect();
    },
  };
}

/** Runs a job when it is rung for; one run of a job at a time in this process, a second ring waits for the first. */
class Bells {
  readonly #engine: Engine;
  readonly #jobs: readonly Job[];
  readonly #onTrouble: (error: unknown) => void;
  readonly #running = new Map<string, Promise<void>>();
  readonly #rung = new Set<string>();

  constructor(engine: Engine, jobs: readonly Job[], onTrouble: (error: unknown) => void) {
    this.#engine = engine;
    this.#jobs = jobs;
    this.#onTrouble = onTrouble;
  }

  async ring(name: string): Promise<void> {
    const job = this.#jobs.find((j) => j.name === name);
    if (!job) return;
    this.#rung.add(name);
    const running = this.#running.get(name);
    if (running) return running;
    const run = traced(job, this.#engine)
      .catch(this.#onTrouble)
      .finally(() => this.#running.delete(name));
    this.#running.set(name, run);
    return run;
  }

  /** The queue has not rung since the last look: its schedule may be lost. */
  async ringIfSilent(job: Job): Promise<void> {
    if (!this.#rung.delete(job.name)) await this.ring(job.name);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }
}

/** Runs a job within a span of its own. */
function traced(job: Job, engine: Engine): Promise<void> {
  return trace.getTracer("weir").startActiveSpan(`job ${job.name}`, async (span) => {
    try {
      await job.run(engine);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}
