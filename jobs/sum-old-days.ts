import type { Job } from "./job.ts";

/** Sums old hours of usage by day, where a deployment wants it (WEIR_HOURS_KEPT_MONTHS). */
export const sumOldDays: Job = {
  name: "sum-old-days",
  everyMs: 3_600_000,
  run: async (engine) => void (await engine.upkeep.sumOldDays()),
};
