import type { Job } from "./job.ts";

/** Lets go of months of usage that are older than a deployment keeps (WEIR_LEDGER_KEPT_MONTHS). */
export const detachOldMonths: Job = {
  name: "detach-old-months",
  everyMs: 3_600_000,
  run: async (engine) => void (await engine.upkeep.detachOldMonths()),
};
