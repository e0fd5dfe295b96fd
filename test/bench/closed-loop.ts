import { monotonicMs } from "../../src/kernel/clock.ts";
import { Latencies } from "./latencies.ts";
import type { Sample } from "./rounds.ts";

/** So many callers, each sending its next call when the last is answered, for `ms`. Throws with the first call that fails. */
export async function closedLoop(callers: number, ms: number, call: (n: number) => Promise<unknown>): Promise<Sample> {
  const latencies = new Latencies();
  const from = monotonicMs();
  const until = from + ms;
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let at = monotonicMs(); at < until;) {
      await call(next++);
      const now = monotonicMs();
      latencies.add(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (monotonicMs() - from) / 1000;
  return { rate: latencies.total / seconds, p50Ms: latencies.percentile(0.5), p99Ms: latencies.percentile(0.99) };
}
