import type { Job } from "./job.ts";

/** Indexes the ledger's months that are over for those who read their history. */
export const indexClosedMonths: Job = {
  name: "index-closed-months",
  everyMs: 3_600_000,
  run: async (engine) => void (await engine.upkeep.indexClosedMonths()),
};
