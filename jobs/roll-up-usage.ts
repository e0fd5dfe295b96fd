import type { Job } from "./job.ts";

/** Books what Redis has counted since: usage is in Postgres about a second after it happened. */
export const rollUpUsage: Job = {
  name: "roll-up-usage",
  everyMs: 1_000,
  run: async (engine) => {
    await engine.rollUp();
  },
};
