/** One process with an engine of its own, under a test that kills it: it counts, rolls up and delivers when it is told. */
import { createCounters } from "../../src/counters/counters.ts";
import { createEngine, STORAGE_METER } from "../../src/engine.ts";
import { ManualClock } from "../../src/kernel/clock.ts";
import { rollUpAccounts, type RollUpStep } from "../../src/ledger/roll-up.ts";
import { UnbookedTotals } from "../../src/ledger/unbooked.ts";
import { ThresholdTeller } from "../../src/notifications/tell-reached.ts";
import { openRedisServers } from "../../src/stores/redis-servers.ts";
import type { ProcessAnswer, ProcessOptions, ProcessOrder } from "./engine-child.ts";
import { LOOPBACK } from "./loopback.ts";

const REDIS_TIMEOUT_MS = 5_000;

const {
  databaseUrl,
  redisUrl,
  redisPrefix,
  now,
  payments = null,
  hotAccounts = [],
} = JSON.parse(process.argv[2] ?? "{}") as ProcessOptions;
const onTrouble = (error: unknown): void => void process.stderr.write(`${String(error)}\n`);
const engine = await createEngine({
  databaseUrl,
  redisUrl,
  redisPrefix,
  clock: new ManualClock(now),
  redisTimeoutMs: REDIS_TIMEOUT_MS,
  outbox: { egress: LOOPBACK },
  payments,
  hotAccounts: new Map(hotAccounts),
  onTrouble,
});
const answer = (message: ProcessAnswer): void => void process.send?.(message);
process.on("disconnect", () => process.exit(0));
process.on("message", (order: ProcessOrder) => {
  obey(order).then(
    (allowed) => answer({ kind: "done", allowed }),
    (error: unknown) => answer({ kind: "failed", error: String(error) }),
  );
});
answer({ kind: "ready" });

async function obey(order: ProcessOrder): Promise<number> {
  if (order.kind === "hand over") await engine.payments.handOverDue();
  if (order.kind === "tell usage") await engine.payments.tellUsage();
  if (order.kind === "deliver") await engine.outbox.deliverDue();
  if (order.kind === "roll up") await rollUp(order.account, order.stopAt);
  if (order.kind !== "use") return 0;
  const { account, meter, times } = order;
  const decisions = await Promise.all(
    Array.from({ length: times }, () => engine.gate.check({ account, usage: { [meter]: 1 } }, engine.clock.now())),
  );
  return decisions.filter(({ allowed }) => allowed).length;
}

/** Rolls one account up; at `stopAt` it says so and goes no further, until somebody kills it. */
async function rollUp(account: string, stopAt: RollUpStep | null): Promise<void> {
  const redis = openRedisServers(redisUrl, { commandTimeoutMs: REDIS_TIMEOUT_MS });
  await redis.ready(REDIS_TIMEOUT_MS);
  const { tellCrossings } = new ThresholdTeller(engine.db, engine.catalogs);
  const onStep = (step: RollUpStep): void => {
    if (step !== stopAt) return;
    process.send?.({ kind: "stopped" } satisfies ProcessAnswer, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    throw new Error(`stopped at: ${step}`);
  };
  const counters = createCounters(redis, redisPrefix);
  const unbooked = new UnbookedTotals("another process");
  await rollUpAccounts({ db: engine.db, counters, unbooked, storageMeter: STORAGE_METER, tellCrossings, onStep }, [account], now);
  await redis.close();
}
