import { monotonicMs, sleep } from "../../src/kernel/clock.ts";

const TICK_MS = 10;

/**
 * Calls at a steady rate for `ms`, whether earlier calls have been answered or not, and answers how many a second were. Throws with the
 * first call that fails.
 */
export async function steadyLoad(perSecond: number, ms: number, call: (n: number) => Promise<unknown>): Promise<number> {
  const from = monotonicMs();
  const running = new Set<Promise<unknown>>();
  let failure: unknown = null;
  let sent = 0;
  for (let at = from; at < from + ms && failure === null; at = monotonicMs()) {
    for (const due = ((at - from) * perSecond) / 1_000; sent < due; sent++) {
      const one = call(sent)
        .catch((error: unknown) => (failure ??= error))
        .finally(() => running.delete(one));
      running.add(one);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(running);
  if (failure !== null) throw failure;
  return (sent * 1_000) / (monotonicMs() - from);
}
