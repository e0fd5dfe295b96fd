import type { Subscription } from "../accounts/subscription.ts";
import { HOUR_MS, type Window } from "../kernel/window.ts";
import { NO_SUMS, type MeterSums, type SumWindow, type WindowSums } from "./window-sums-store.ts";

/** A billing month of an account, and the subscriptions that touch it, oldest first. */
export interface AccountMonth {
  account: string;
  window: Window;
  history: readonly Subscription[];
}

/** What a plan's time in a billing month held. A plan that was left and taken again is one part. */
export interface PlanPart {
  plan: string;
  /** When it was first in force in the month: what it costs is told by the catalogue of that instant. Epoch ms. */
  firstAt: number;
  /** How long it was in force in the month, milliseconds. */
  ms: number;
  sums: ReadonlyMap<string, MeterSums>;
}

/** The stretches of the ledger that a month's parts are made of: up to each change of plan, and up to the end. */
export function windowsOfMonth({ account, window, history }: AccountMonth): SumWindow[] {
  return spansIn(history, window).map(({ to, next }) => {
    const ends = next === undefined ? window.end : Math.max(window.start, bucketOfChange(next));
    return { account, from: window.start, to: ends, correctionsTo: to };
  });
}

/**
 * Parts a month's sums by plan: each has what came between its beginning and its end. `sums` belong to `windowsOfMonth`, in order. What
 * the hour of a change had counted before it was noted with the change, so a part is exact to the call. Pure.
 */
export function planParts({ window, history }: AccountMonth, sums: readonly WindowSums[]): PlanPart[] {
  const parts = new Map<string, PlanPart & { sums: Map<string, MeterSums> }>();
  let before: WindowSums = new Map();
  spansIn(history, window).forEach(({ plan, from, to, next }, i) => {
    const until = withHourOfChange(sums[i] ?? new Map(), next);
    const part = parts.get(plan) ?? { plan, firstAt: from, ms: 0, sums: new Map<string, MeterSums>() };
    part.ms += to - from;
    for (const [meter, sum] of until) {
      const had = part.sums.get(meter) ?? NO_SUMS;
      part.sums.set(meter, combined(had, combined(sum, before.get(meter) ?? NO_SUMS, -1n), 1n));
    }
    parts.set(plan, part);
    before = until;
  });
  return [...parts.values()];
}

/** The plans that were in force in the window, and when each first was. */
export function plansIn(history: readonly Subscription[], window: Window): { plan: string; firstAt: number }[] {
  const firsts = new Map<string, number>();
  for (const { plan, from } of spansIn(history, window)) if (!firsts.has(plan)) firsts.set(plan, from);
  return [...firsts].map(([plan, firstAt]) => ({ plan, firstAt }));
}

/** A stretch of a month under one plan. */
export interface Span {
  plan: string;
  from: number;
  to: number;
  /** The subscription that ended it inside the month. */
  next: Subscription | undefined;
}

/** The stretches of the window under one plan each, oldest first. */
export function spansIn(history: readonly Subscription[], window: Window): Span[] {
  return history.flatMap((subscription, i): Span[] => {
    const from = Math.max(subscription.startsAt, window.start);
    const to = Math.min(subscription.endsAt ?? window.end, window.end);
    if (to <= from) return [];
    const next = history[i + 1];
    return [{ plan: subscription.plan, from, to, next: next && next.startsAt < window.end ? next : undefined }];
  });
}

/** Where the buckets begin that held usage from before and after the change. */
export const bucketOfChange = ({ startsAt, usedBefore }: Subscription): number =>
  usedBefore?.from ?? Math.floor(startsAt / HOUR_MS) * HOUR_MS;

function withHourOfChange(sums: WindowSums, change: Subscription | undefined): WindowSums {
  const { counters = {}, levels = {} } = change?.usedBefore ?? {};
  const all = new Map(sums);
  for (const [meter, usage] of Object.entries(counters)) all.set(meter, combined(all.get(meter) ?? NO_SUMS, { ...NO_SUMS, usage }, 1n));
  for (const [meter, level] of Object.entries(levels)) all.set(meter, combined(all.get(meter) ?? NO_SUMS, { ...NO_SUMS, level }, 1n));
  return all;
}

const combined = (a: MeterSums, b: MeterSums, sign: 1n | -1n): MeterSums => ({
  usage: a.usage + sign * b.usage,
  corrections: a.corrections + sign * b.corrections,
  level: a.level + sign * b.level,
});

/** What is billed of a counter: usage and corrections, never below zero. */
export const billedUsage = ({ usage, corrections }: MeterSums): bigint => {
  const sum = usage + corrections;
  return sum < 0n ? 0n : sum;
};
