import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import type { WorkerGround } from "./api-worker.ts";

const PROGRAM = fileURLToPath(new URL(`./api-worker${extname(import.meta.url)}`, import.meta.url));
/** One that ends sooner after its start than this is started again later and later. */
const SETTLED_AFTER_MS = 10_000;
const RESTART_FIRST_MS = 100;
const RESTART_LAST_MS = 5_000;
/** From SIGTERM until a worker that has not ended is killed. */
const STOP_TIME_LIMIT_MS = 9_000;

export interface Workers {
  /** The port they share. */
  port: number;
  /** Starts a new one for each, and then ends the old: one after the other, so that as many serve as before. */
  renew(): Promise<void>;
  /** Each finishes what it has begun, then ends. */
  close(): Promise<void>;
}

/** Starts `count` processes that share the port of `ground.config`, and a new one for each that ends. Resolves when all of them listen. */
export async function startWorkers(count: number, ground: WorkerGround, log: (line: string) => void): Promise<Workers> {
  // What a configuration holds in maps would come as nothing in JSON: the workers knew of no hot account.
  cluster.setupPrimary({ exec: PROGRAM, silent: false, serialization: "advanced" });
  const crew = new Crew(ground, log);
  try {
    const ports = await Promise.all(Array.from({ length: count }, () => crew.start()));
    return { port: ports[0] ?? 0, renew: () => crew.renew(), close: () => crew.close() };
  } catch (error) {
    await crew.close();
    throw error;
  }
}

class Crew {
  readonly #ground: WorkerGround;
  readonly #log: (line: string) => void;
  readonly #workers = new Set<Worker>();
  readonly #retired = new WeakSet<Worker>();
  #closing = false;
  #restartMs = RESTART_FIRST_MS;

  constructor(ground: WorkerGround, log: (line: string) => void) {
    this.#ground = ground;
    this.#log = log;
  }

  /** Resolves with its port when it listens; rejects when it ends before. */
  async start(): Promise<number> {
    const startedAt = monotonicMs();
    const worker = cluster.fork();
    this.#workers.add(worker);
    const ended = once(worker, "exit");
    worker.send(this.#ground);
    const listening = once(worker, "message").then(([message]) => (message as { port: number }).port);
    const port = await Promise.race([listening, ended.then(() => null)]);
    if (port === null) {
      this.#workers.delete(worker);
      throw new Error("A worker ended before it could listen.");
    }
    void ended.then(() => this.#replace(worker, startedAt));
    return port;
  }

  async renew(): Promise<void> {
    const before = [...this.#workers];
    for (const old of before) {
      if (this.#closing || !this.#workers.has(old)) continue;
      await this.start();
      // Its end is meant.
      this.#workers.delete(old);
      this.#retired.add(old);
      await stopped(old);
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#workers].map((worker) => stopped(worker)));
  }

  async #replace(worker: Worker, startedAt: number): Promise<void> {
    this.#workers.delete(worker);
    if (this.#closing || this.#retired.has(worker)) return;
    this.#restartMs = monotonicMs() - startedAt > SETTLED_AFTER_MS ? RESTART_FIRST_MS : Math.min(RESTART_LAST_MS, this.#restartMs * 2);
    this.#log(`a worker (pid ${worker.process.pid ?? 0}) ended by itself; starting another.`);
    for (;;) {
      await sleep(this.#restartMs);
      if (this.#closing) return;
      const started = await this.start().catch((error: unknown) => error);
      if (!(started instanceof Error)) return;
      this.#restartMs = Math.min(RESTART_LAST_MS, this.#restartMs * 2);
    }
  }
}

async function stopped(worker: Worker): Promise<void> {
  const ended = once(worker, "exit");
  worker.process.kill("SIGTERM");
  const inTime = await Promise.race([ended.then(() => true), sleep(STOP_TIME_LIMIT_MS).then(() => false)]);
  if (!inTime) worker.process.kill("SIGKILL");
  await ended;
}
