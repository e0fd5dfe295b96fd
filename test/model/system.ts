import { Redis } from "ioredis";
import { createEngine, type Engine } from "../../src/engine.ts";
import { ManualClock } from "../../src/kernel/clock.ts";

const NOON = "2026-11-21T12:00:00.000Z";

export interface Stores {
  databaseUrl: string;
  redisUrl: string;
  keyPrefix: string;
}

/** Two engines over one set of stores, as two processes would be; one may be closed and started again. */
export class System {
  readonly clock = new ManualClock(NOON);
  readonly #stores: Stores;
  readonly #redis: Redis;
  #engines: Engine[] = [];
  #accounts = 0;

  private constructor(stores: Stores) {
    this.#stores = stores;
    this.#redis = new Redis(stores.redisUrl, { protocol: 2 });
  }

  static async open(stores: Stores): Promise<System> {
    const system = new System(stores);
    system.#engines = [await system.#start(), await system.#start()];
    return system;
  }

  engine(index: number): Engine {
    const engine = this.#engines[index % this.#engines.length];
    if (!engine) throw new Error("The system is closed");
    return engine;
  }

  /** A new account on the plan Pro. */
  async newAccount(): Promise<string> {
    const account = `acct_model_${++this.#accounts}`;
    await this.engine(0).limits.putAccount(account, { plan: "pro" }, this.clock.now());
    return account;
  }

  async restart(index: number): Promise<void> {
    const at = index % this.#engines.length;
    await this.engine(at).close();
    this.#engines[at] = await this.#start();
  }

  async flush(): Promise<void> {
    await this.#redis.flushdb();
  }

  async bookAll(): Promise<void> {
    for (const engine of this.#engines) await engine.bookOwn();
    for (const engine of this.#engines) await engine.rollUp();
  }

  async close(): Promise<void> {
    for (const engine of this.#engines) await engine.close();
    this.#redis.disconnect();
  }

  #start(): Promise<Engine> {
    const { databaseUrl, redisUrl, keyPrefix } = this.#stores;
    return createEngine({
      databaseUrl,
      redisUrl,
      redisPrefix: keyPrefix,
      clock: this.clock,
      redisTimeoutMs: 5_000,
      onTrouble: (error) => void process.stderr.write(`${String(error)}\n`),
    });
  }
}
