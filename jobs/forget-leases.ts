import { DAY_MS } from "../src/kernel/window.ts";
import { forgetLeases } from "../src/ledger/lease-store.ts";
import type { Job } from "./job.ts";

/** How long after its month's end a lease may still be settled, days: a holder that was gone may come back with its journal. */
const SETTLED_LATE_DAYS = 7;

/** Forgets leases that are not expected to be settled any more. */
export const forgetOldLeases: Job = {
  name: "forget-leases",
  everyMs: 3_600_000,
  run: async (engine) => {
    await forgetLeases(engine.db, engine.clock.now() - SETTLED_LATE_DAYS * DAY_MS);
  },
};
