import { tellWindowResets } from "../src/notifications/window-resets.ts";
import type { Job } from "./job.ts";

/** Tells accounts that were stopped that their window is over. The unblocking itself needs no job. */
export const tellResets: Job = {
  name: "tell-window-resets",
  everyMs: 5_000,
  run: async (engine) => {
    await tellWindowResets(engine.db, engine.catalog, engine.clock.now());
  },
};
