import type { Job } from "./job.ts";

/** Makes the ledger's monthly partitions ahead of time. */
export const prepareLedger: Job = {
  name: "prepare-ledger",
  everyMs: 3_600_000,
  run: (engine) => engine.upkeep.preparePartitions(),
};
