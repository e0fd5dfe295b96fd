import type { Job } from "./job.ts";

/** Looks whether prepaid credits run low, and tells so. */
export const watchPrepaidCredits: Job = {
  name: "watch-credits",
  everyMs: 60_000,
  run: async (engine) => {
    await engine.invoices.watchCredits(engine.clock.now());
  },
};
