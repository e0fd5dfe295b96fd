import { sleep } from "./clock.ts";

/** What `promise` gives, or `late` after `ms`. Leaves no timer behind. */
export async function within<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  const done = new AbortController();
  try {
    return await Promise.race([promise, sleep(ms, done.signal).then(() => late)]);
  } finally {
    done.abort();
  }
}
