import type { Engine } from "../../src/engine.ts";
import { sleep } from "../../src/kernel/clock.ts";
import { Latencies } from "./latencies.ts";

const LOOK_EVERY_MS = 100;

/** How the roll-up kept up with what was checked. */
export interface Lag {
  /** From a check's answer until it is booked, at worst: p99 of what was seen. */
  p99Ms: number;
  /** Accounts that waited to be booked, on average in each half of the time. */
  waiting: { before: number; after: number };
}

/** Looks at the roll-up, which somebody else rings, until `load` has ended. */
export async function watchLag(engine: Engine, load: Promise<unknown>): Promise<Lag> {
  const lags = new Latencies();
  const waiting: number[] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      await sleep(LOOK_EVERY_MS);
      const { redis } = await engine.readiness();
      if ("away" in redis) throw new Error(redis.away);
      // Where no roll-up has ended yet there is no lag to be told.
      if (redis.rollUpLagMs !== null) lags.add(redis.rollUpLagMs);
      waiting.push(redis.dirtyAccounts);
    }
  })();
  await load.finally(() => (isOver = true));
  await watching;
  const half = Math.floor(waiting.length / 2);
  return { p99Ms: lags.percentile(0.99), waiting: { before: mean(waiting.slice(0, half)), after: mean(waiting.slice(half)) } };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
