import type { Job } from "./job.ts";

/** Hands finalized invoices over to whoever collects the money, where somebody is configured to. */
export const handOverInvoices: Job = {
  name: "hand-over-invoices",
  everyMs: 60_000,
  run: async (engine) => {
    await engine.payments.handOverDue();
  },
};
