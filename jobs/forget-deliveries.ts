import { forgetDeliveries } from "../src/notifications/outbox-store.ts";
import type { Job } from "./job.ts";

/** Forgets deliveries, and their log, that are a month old. */
export const forgetOldDeliveries: Job = {
  name: "forget-deliveries",
  everyMs: 3_600_000,
  run: async (engine) => {
    await forgetDeliveries(engine.db, engine.clock.now());
  },
};
