import type { Job } from "./job.ts";

/** Delivers what is due in the outbox: webhooks, and mail where a server is configured. */
export const deliverWebhooks: Job = {
  name: "deliver-webhooks",
  everyMs: 1_000,
  run: (engine) => engine.outbox.deliverDue(),
};
