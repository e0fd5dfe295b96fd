/*
 * The process that alarm-faults.test.ts kills: delivers what is due, and says on stdout when it has alarms in hand. Arguments:
 * Postgres, Redis, the Redis prefix, a folder, the time, and "claimed" to stop before the worker is called.
 */
import { createEngine } from "../../../src/engine.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { openState } from "../../../src/state/open-state.ts";
import { LOOPBACK } from "../../support/loopback.ts";

const [databaseUrl = "", redisUrl = "", redisPrefix = "", folder = "", time = "", until = ""] = process.argv.slice(2);
const clock = new ManualClock(time);
const onTrouble = (error: unknown): void => void process.stderr.write(`${String(error)}\n`);
const engine = await createEngine({
  databaseUrl,
  redisUrl,
  redisPrefix,
  clock,
  redisTimeoutMs: 5_000,
  outbox: { egress: LOOPBACK },
  onTrouble,
});
if (until === "claimed") {
  // The first thing that a delivery asks: what the account is allowed. By then it is claimed, and nobody was called.
  engine.gate.check = () => {
    process.stdout.write("claimed\n");
    return new Promise(() => undefined);
  };
}
const state = await openState(engine, folder, onTrouble);
await state.alarms.deliverDue();
