import { DAY_MS } from "../src/kernel/window.ts";
import { forgetObjectRequests } from "../src/ledger/object-request-store.ts";
import type { Job } from "./job.ts";

/** How long after its month began an object that nobody asked for since is kept, days: no month is longer than 31, and days differ by zone. */
const KEPT_DAYS = 35;

/** Forgets the requests of objects that were last asked for in a month that is over. */
export const forgetOldObjectRequests: Job = {
  name: "forget-object-requests",
  everyMs: 3_600_000,
  run: async (engine) => {
    await forgetObjectRequests(engine.db, engine.clock.now() - KEPT_DAYS * DAY_MS);
  },
};
