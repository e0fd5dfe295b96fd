import type { Job } from "./job.ts";

/** Counts the usage of hours that are over at the meters of whoever collects the money, where some are named. */
export const tellUsage: Job = {
  name: "tell-usage",
  everyMs: 5 * 60_000,
  run: async (engine) => {
    await engine.payments.tellUsage();
  },
};
