import type { GateStores } from "./account-loader.ts";

/** Looks at one answer: as many calls on this process it outlasts. */
const LOOKS_MAX = 8;

/**
 * For an answer of Redis that was under way when this process was called on: its copies are booked without it, and whoever called takes
 * them for complete, for an account whose life is over. Where the life of `epoch` is seen to go on after the call, the answer is as good
 * as that of a check which came after it. Answers the recall's generation at which it was seen: the answer may be passed on while that is
 * the present one, which the caller must ask in the same breath. NaN where it is over: what Redis then holds under our name may be more
 * than our copies, and we count on under another.
 */
export async function seenToStand({ counters, recall, unbooked }: GateStores, account: string, epoch: number): Promise<number> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const { generation } = recall;
    const present = await counters.read(account, []).catch(() => null);
    if (present?.header.epoch !== epoch) break;
    if (generation === recall.generation) return generation;
  }
  unbooked.renew();
  return NaN;
}
