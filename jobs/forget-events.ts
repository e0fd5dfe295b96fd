import { forgetEventKeys } from "../src/ledger/event-store.ts";
import type { Job } from "./job.ts";

/** Forgets usage events that are too old to be sent again, so that the keys of about two days are kept. */
export const forgetEvents: Job = {
  name: "forget-events",
  everyMs: 600_000,
  run: async (engine) => {
    await forgetEventKeys(engine.db, engine.clock.now());
  },
};
