import { DAY_MS } from "../src/kernel/window.ts";
import { forgetIdempotencyKeys } from "../src/ledger/forget-keys.ts";
import type { Job } from "./job.ts";

/** Drops idempotency keys that Redis has long forgotten. */
export const forgetKeys: Job = {
  name: "forget-keys",
  everyMs: 3_600_000,
  run: async (engine) => {
    await forgetIdempotencyKeys(engine.db, engine.clock.now() - 3 * DAY_MS);
  },
};
