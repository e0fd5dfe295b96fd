import type { State } from "../src/state/state.ts";
import type { Job } from "./job.ts";

/** Counts the time of objects that are awake. They do so by themselves as well: this is for whoever wants to read it now. */
export const countTime = (state: State): Job => ({
  name: "count-time",
  everyMs: 60_000,
  run: () => state.settleTime(),
});
