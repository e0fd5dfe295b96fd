import type { Job } from "./job.ts";

/** Closes billing months that have ended, drafts their invoices, and finalizes those whose grace is over. */
export const closeBillingPeriods: Job = {
  name: "close-periods",
  everyMs: 60_000,
  run: async (engine) => {
    await engine.invoices.run(engine.clock.now());
  },
};
