import * as fc from "fast-check";
import { commands, holdReport } from "./commands.ts";
import { Reference } from "./reference.ts";
import type { Subject } from "./subject.ts";
import type { System } from "./system.ts";

/** Shrinking re-runs the system: past this the counter-example is shown as it is. */
const SHRINK_TIME_LIMIT_MS = 60_000;

/** Runs sequences of commands against the system and the model; throws with the seed, the path and the shortest sequence found. */
export async function checkModel(system: System, options: { seed: number; runs: number; path?: string }): Promise<void> {
  const property = fc.asyncProperty(commands, async (sequence) => {
    const subject: Subject = { system, account: await system.newAccount(), lost: false };
    const model = new Reference();
    await fc.asyncModelRun(() => ({ model, real: subject }), sequence);
    await holdReport(0)(model, subject);
  });
  await fc.assert(property, {
    seed: options.seed,
    numRuns: options.runs,
    ...(options.path === undefined ? {} : { path: options.path }),
    interruptAfterTimeLimit: Math.max(SHRINK_TIME_LIMIT_MS, options.runs * 2_000),
    markInterruptAsFailure: false,
    verbose: 1,
  });
}
