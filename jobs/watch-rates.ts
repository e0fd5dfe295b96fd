import { notify } from "../src/notifications/notification-store.ts";
import { watchRates } from "../src/usage/rate-alert-watch.ts";
import type { Job } from "./job.ts";

/** Looks at the last full hours of accounts that want to hear of unusual usage. More often than hourly, so that they hear soon. */
export const watchUsageRates: Job = {
  name: "watch-rates",
  everyMs: 300_000,
  run: async (engine) => {
    const { db, clock } = engine;
    await watchRates(db, (account, key, data, now) => notify(db, account, key, "usage.rate_alert", data, now), clock.now());
  },
};
