/** One Weir process under the fault harness: the real HTTP application, or a worker that rolls up without pause. */
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createEngine, type Engine } from "../../src/engine.ts";
import { buildApp } from "../../src/http/app.ts";
import { monotonicMs, sleep, type Clock } from "../../src/kernel/clock.ts";
import { openState } from "../../src/state/open-state.ts";
import type { Answer, Call, ChildOptions, Hello, Order } from "./child.ts";

/** Between two roll-ups of a worker: short, so that a fault often meets one half done. */
const ROLL_UP_EVERY_MS = 40;
const BOOK_ROUNDS_MAX = 20;

/** A clock that runs, and jumps where it is told to; never backwards. */
class JumpingClock implements Clock {
  #at: number;
  #since = monotonicMs();

  constructor(at: number) {
    this.#at = at;
  }

  now(): number {
    return Math.floor(this.#at + monotonicMs() - this.#since);
  }

  jump(at: number): void {
    this.#at = Math.max(this.now(), at);
    this.#since = monotonicMs();
  }
}

const options = JSON.parse(process.argv[2] ?? "{}") as ChildOptions;
const clock = new JumpingClock(options.clock);
const onTrouble = (error: unknown): void => void process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
process.on("disconnect", () => process.exit(0));

const engine = await createEngine({ databaseUrl: options.databaseUrl, redisUrl: options.redisUrl, clock, onTrouble });
const port = options.role === "api" ? await serveApi(engine) : 0;
process.on("message", (call: Call) => void answer(call));
process.send?.({ port } satisfies Hello);
if (options.role === "worker") await work(engine);

async function serveApi(served: Engine): Promise<number> {
  const state = await openState(served, join(options.dataDir, String(process.pid)), onTrouble);
  const app = await buildApp({ engine: served, state, adminKey: options.adminKey, redisDurable: null, runJobs: async () => {} });
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
}

async function work(worked: Engine): Promise<never> {
  for (;;) {
    await worked.rollUp().catch(onTrouble);
    await sleep(ROLL_UP_EVERY_MS);
  }
}

async function answer({ id, order }: Call): Promise<void> {
  const reply: Answer = { id, error: null, dirty: 0 };
  try {
    reply.dirty = await obey(order);
  } catch (error) {
    reply.error = error instanceof Error ? error.message : String(error);
  }
  process.send?.(reply);
}

async function obey(order: Order): Promise<number> {
  if (order.kind === "clock") {
    clock.jump(order.at);
    return 0;
  }
  await engine.bookOwn();
  for (let round = 0; round < BOOK_ROUNDS_MAX; round++) {
    await engine.rollUp();
    if ((await dirtyAccounts()) === 0) return 0;
  }
  return dirtyAccounts();
}

async function dirtyAccounts(): Promise<number> {
  const { redis } = await engine.readiness();
  if ("away" in redis) throw new Error(redis.away);
  return redis.dirtyAccounts;
}
