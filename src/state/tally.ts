import { AsyncLocalStorage } from "node:async_hooks";

/** What one call of the data plane has counted, by meter. */
export type Tally = Map<string, number>;

const tallies = new AsyncLocalStorage<Tally>();

/** Runs `work` so that whatever is counted on its way is added to `tally` too: for telling a caller what his call cost. */
export const withTally = <T>(tally: Tally, work: () => T): T => tallies.run(tally, work);

/** Adds to the tally of the call that is under way, where somebody keeps one. */
export function noteCounted(usage: Readonly<Record<string, number>>): void {
  const tally = tallies.getStore();
  if (!tally) return;
  for (const [meter, quantity] of Object.entries(usage)) if (quantity > 0) tally.set(meter, (tally.get(meter) ?? 0) + quantity);
}
