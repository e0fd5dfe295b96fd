import { HOUR_MS, type Window } from "../kernel/window.ts";

/** A rate is taken over this long, or since the window began when that is shorter. */
const RATE_SPAN_MS = HOUR_MS;
/** A rate is taken over a minute at least: the first call of a window, a millisecond old, says nothing about the next hours. */
const RATE_SPAN_MIN_MS = 60_000;

/** Booked usage of one bucket: an hour, or a part of one where a billing month begins inside it. Epoch ms. */
export interface RecentBucket {
  start: number;
  quantity: number;
}

/** What was used over a stretch of time that ends now. */
export interface Rate {
  quantity: number;
  /** Milliseconds. */
  over: number;
}

/** Where the buckets begin that `recentRate` needs at `now`. Epoch ms. */
export const recentFrom = (now: number): number => hourStart(now - RATE_SPAN_MS);

/**
 * The rate of the last hour, within `window` and since `since` (the account's first moment). Of a bucket that began before the hour in
 * question only the share that lies in it counts, as if its usage were spread evenly. Pure.
 */
export function recentRate(buckets: readonly RecentBucket[], window: Window, since: number, now: number): Rate {
  // Another process' clock may have made the account a moment after our now.
  const began = Math.min(since, now);
  const from = Math.max(now - RATE_SPAN_MS, window.start, began);
  const ordered = [...buckets].sort((a, b) => a.start - b.start);
  let quantity = 0n;
  ordered.forEach(({ start, quantity: booked }, i) => {
    const end = Math.min(hourStart(start) + HOUR_MS, ordered[i + 1]?.start ?? Infinity);
    // A bucket lies in one window: one that began before this one has nothing of it.
    if (start < window.start || start >= window.end || end <= from) return;
    const first = Math.max(start, began);
    quantity += (BigInt(booked) * BigInt(end - Math.max(first, from))) / BigInt(end - first);
  });
  return { quantity: Number(quantity), over: Math.max(now - from, RATE_SPAN_MIN_MS) };
}

/**
 * When the limit will be reached if usage goes on at `rate`; null when that is not before the window ends, when nothing is being used,
 * when nothing limits (`remaining` null), or when the limit is reached already. Epoch ms.
 */
export function projectedExhaustion(rate: Rate, remaining: number | null, window: Window, now: number): number | null {
  if (remaining === null || remaining <= 0 || rate.quantity <= 0 || rate.over <= 0) return null;
  const quantity = BigInt(rate.quantity);
  const left = (BigInt(remaining) * BigInt(rate.over) + quantity - 1n) / quantity;
  const at = BigInt(now) + left;
  return at < BigInt(window.end) ? Number(at) : null;
}

const hourStart = (at: number): number => Math.floor(at / HOUR_MS) * HOUR_MS;
