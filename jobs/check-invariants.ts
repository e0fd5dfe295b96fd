import type { Job } from "./job.ts";

/** Looks every night whether what must always hold does hold, and makes itself heard when it does not. */
export const checkInvariants: Job = {
  name: "check-invariants",
  everyMs: 86_400_000,
  run: async (engine) => {
    const broken = (await engine.checkInvariants({ gently: true })).filter((result) => result.violations.length > 0 || !result.finished);
    if (broken.length === 0) return;
    const sentences = broken.map((r) => (r.finished ? `${r.check}: ${JSON.stringify(r.violations[0])}` : `${r.check} did not finish`));
    throw new Error(`Invariants of the ledger are violated (see weir doctor): ${sentences.join("; ")}`);
  },
};
