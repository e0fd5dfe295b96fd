import { monotonicMs, sleep } from "../../src/kernel/clock.ts";
import type { Random } from "../../src/replay/random.ts";

const TICK_MS = 2;
/** Operations under way at once; what is due beyond waits its turn, and how late it was is told. */
const UNDER_WAY_MAX = 8_000;

export interface OpenLoop {
  sent: number;
  /** How late the latest was sent, milliseconds. */
  latestMs: number;
}

/** Sends `rate` operations a second for `ms`, at random moments, whether those before are answered or not; resolves when all are. */
export async function openLoop(options: { rate: number; ms: number; random: Random; send: () => Promise<void> }): Promise<OpenLoop> {
  const { rate, ms, random, send } = options;
  const underWay = new Set<Promise<void>>();
  const end = monotonicMs() + ms;
  let [sent, latestMs] = [0, 0];
  for (let due = monotonicMs(); due < end;) {
    const now = monotonicMs();
    for (; due <= now && due < end && underWay.size < UNDER_WAY_MAX; due -= (Math.log(1 - random()) * 1_000) / rate) {
      latestMs = Math.max(latestMs, now - due);
      sent += 1;
      const one: Promise<void> = send().finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(underWay);
  return { sent, latestMs };
}
