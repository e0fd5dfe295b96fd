import type { State } from "../src/state/state.ts";
import type { Job } from "./job.ts";

/** Delivers the State alarms that are due. */
export const deliverAlarms = (state: State): Job => ({
  name: "deliver-alarms",
  everyMs: 1_000,
  run: () => state.alarms.deliverDue(),
});
