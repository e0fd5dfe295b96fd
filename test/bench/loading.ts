import type { CheckRequest } from "../../src/gate/check-request.ts";
import type { Engine } from "../../src/engine.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { isUnavailable } from "../../src/kernel/errors.ts";
import type { Redis } from "ioredis";

/** Checks under way at once while something is loaded: Postgres serves ten statements at a time, the others must find one waiting. */
const LOADING_AT_ONCE = 500;

/** Bounds on what Redis keeps, bytes: a million accounts in 8 GB. */
export const REDIS_BYTES = { account: 8_000, object: 200 } as const;

/** Objects that are measured. */
export const STORING = { service: "api", namespace: "Room" } as const;

/** How often a check is asked again that a store did not answer in time: of a million that were loaded beside other work, one took over 12 seconds. */
const AGAIN_MAX = 5;

/** The same for what is loaded and not measured: a store that is late is asked again. */
export async function loaded(engine: Engine, request: CheckRequest): Promise<void> {
  for (let again = 0; ; again++) {
    try {
      return await allowed(engine, request);
    } catch (error) {
      if (again === AGAIN_MAX || !isUnavailable(error)) throw error;
    }
  }
}

/** A check that has to be allowed: a denial does less than an allowed check, and would pass for a faster one. */
export async function allowed(engine: Engine, request: CheckRequest): Promise<void> {
  const decision = await engine.gate.check(request, systemClock.now());
  if (!decision.allowed) throw new Error(`denied: ${decision.denials.map((d) => d.message).join(" ")}`);
}

/** An object of the account that now stores `bytes`. */
export const storing = (account: string, object: number, bytes: number): CheckRequest => ({
  account,
  ...STORING,
  object: `o${object}`,
  storageBytes: { set: bytes },
});

/** Takes the steps from `from` up to `to`, many at once. */
export async function inAnyOrder({ from = 0, to }: { from?: number; to: number }, step: (i: number) => Promise<unknown>): Promise<void> {
  let next = from;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < to; i = next++) await step(i);
  };
  await Promise.all(Array.from({ length: Math.min(LOADING_AT_ONCE, to - from) }, lane));
}

/** The memory that Redis uses for what it keeps, bytes. */
export const redisMemory = async (client: Redis): Promise<number> =>
  Number(/^used_memory:(\d+)/m.exec(await client.info("memory"))?.[1] ?? "0");

/** How much Redis' memory grows by with each of `count` things, bytes. */
export async function weighed(client: Redis, count: number, load: () => Promise<unknown>): Promise<number> {
  const before = await redisMemory(client);
  await load();
  return ((await redisMemory(client)) - before) / count;
}
