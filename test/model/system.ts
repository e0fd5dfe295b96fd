import { Redis } from "ioredis";
import { branchName } from "../../src/counters/branch-names.ts";
import { keySpace } from "../../src/counters/keys.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import { hourOf } from "../../src/gate/operation.ts";
import { ManualClock } from "../../src/kernel/clock.ts";

/** Every second account is spread over so many slots (docs/decisions/0041): the model knows of no difference. */
const SLOTS = 4;
const HOT_MAX = 1_000;
const nameOf = (account: number): string => `acct_model_${account}`;
const HOT = new Map(Array.from({ length: HOT_MAX }, (_, i) => [nameOf(2 * i + 1), SLOTS]));

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
    const account = nameOf(++this.#accounts);
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

  /** Makes Redis forget one branch of a hot account, with what it has counted; false where it is not spread. */
  async loseBranch(account: string, index: number): Promise<boolean> {
    if (!HOT.has(account)) return false;
    const keys = keySpace(this.#stores.keyPrefix);
    const branch = branchName(account, index);
    return (await this.#redis.del(keys.state(branch), keys.totals(branch, hourOf(this.clock.now())))) > 0;
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
      hotAccounts: HOT,
      redisTimeoutMs: 5_000,
      onTrouble: (error) => void process.stderr.write(`${String(error)}\n`),
    });
  }
}
