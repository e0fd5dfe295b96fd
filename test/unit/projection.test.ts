import { describe, expect, test } from "vitest";
import { iso } from "../../src/kernel/window.ts";
import { projectedExhaustion, recentFrom, recentRate } from "../../src/usage/projection.ts";

const ms = (text: string): number => Date.parse(text.length === 16 ? `${text}:00Z` : text);
const DAY = { start: ms("2026-11-21T00:00"), end: ms("2026-11-22T00:00") };
/** A billing month that begins inside an hour, as India's do. */
const MONTH = { start: ms("2026-11-21T18:30"), end: ms("2026-12-21T18:30") };
const MINUTE = 60_000;
const LONG_AGO = 0;

describe("the recent rate", () => {
  type Case = [
    what: string,
    buckets: [string, number][],
    window: typeof DAY,
    since: number,
    now: string,
    quantity: number,
    minutes: number,
  ];
  test.each<Case>([
    ["nothing booked", [], DAY, LONG_AGO, "2026-11-21T12:30", 0, 60],
    [
      "this hour in full and half of the last",
      [
        ["2026-11-21T11:00", 100],
        ["2026-11-21T12:00", 30],
      ],
      DAY,
      LONG_AGO,
      "2026-11-21T12:30",
      80,
      60,
    ],
    ["at the full hour, the last one", [["2026-11-21T11:00", 100]], DAY, LONG_AGO, "2026-11-21T12:00", 100, 60],
    [
      "nor does what is older take anything away",
      [
        ["2026-11-21T09:00", 100],
        ["2026-11-21T11:00", 100],
      ],
      DAY,
      LONG_AGO,
      "2026-11-21T12:00",
      100,
      60,
    ],
    [
      "an account that another clock made at the end of a bucket",
      [["2026-11-21T12:00", 50]],
      DAY,
      ms("2026-11-21T13:00"),
      "2026-11-21T12:59",
      50,
      1,
    ],
    ["the hour before that is over", [["2026-11-21T10:00", 100]], DAY, LONG_AGO, "2026-11-21T12:00", 0, 60],
    [
      "since the window began, when that is shorter",
      [
        ["2026-11-20T23:00", 900],
        ["2026-11-21T00:00", 30],
      ],
      DAY,
      LONG_AGO,
      "2026-11-21T00:20",
      30,
      20,
    ],
    ["at the window's first moment", [["2026-11-20T23:00", 900]], DAY, LONG_AGO, "2026-11-21T00:00", 0, 1],
    ["over a minute at least", [["2026-11-21T00:00", 30]], DAY, LONG_AGO, "2026-11-21T00:00:01.000Z", 30, 1],
    [
      "a bucket that a month's start cuts",
      [
        ["2026-11-21T18:00", 500],
        ["2026-11-21T18:30", 40],
      ],
      MONTH,
      LONG_AGO,
      "2026-11-21T18:50",
      40,
      20,
    ],
    ["nothing since the month began", [["2026-11-21T18:00", 500]], MONTH, LONG_AGO, "2026-11-21T18:50", 0, 20],
    [
      "both parts of a cut hour, seen from the day",
      [
        ["2026-11-21T18:00", 60],
        ["2026-11-21T18:30", 40],
      ],
      DAY,
      LONG_AGO,
      "2026-11-21T19:15",
      70,
      60,
    ],
    ["since the account began", [["2026-11-21T12:00", 50]], DAY, ms("2026-11-21T12:10"), "2026-11-21T12:15", 50, 5],
    [
      "an account that began in the last hour's middle",
      [
        ["2026-11-21T11:00", 60],
        ["2026-11-21T12:00", 5],
      ],
      DAY,
      ms("2026-11-21T11:30"),
      "2026-11-21T12:45",
      35,
      60,
    ],
    ["a clock that lags behind the account's start", [["2026-11-21T12:00", 50]], DAY, ms("2026-11-21T12:11"), "2026-11-21T12:10", 50, 1],
    ["quantities up to 2^53 − 1", [["2026-11-21T11:00", Number.MAX_SAFE_INTEGER]], DAY, LONG_AGO, "2026-11-21T12:30", 4503599627370495, 60],
  ])("%s", (_what, buckets, window, since, now, quantity, minutes) => {
    const rate = recentRate(
      buckets.map(([start, n]) => ({ start: ms(start), quantity: n })),
      window,
      since,
      ms(now),
    );
    expect(rate).toEqual({ quantity, over: minutes * MINUTE });
  });

  test.each([
    ["2026-11-21T12:30", "2026-11-21T11:00"],
    ["2026-11-21T12:00", "2026-11-21T11:00"],
    ["2026-11-21T12:59", "2026-11-21T11:00"],
  ])("at %s buckets from %s on are needed", (now, from) => {
    expect(iso(recentFrom(ms(now)))).toBe(iso(ms(from)));
  });
});

describe("the projection", () => {
  const noon = ms("2026-11-21T12:00");
  const hourly = (quantity: number) => ({ quantity, over: 60 * MINUTE });
  test.each<[what: string, rate: { quantity: number; over: number }, remaining: number | null, expected: string | null]>([
    ["in half an hour", hourly(100), 50, "2026-11-21T12:30:00.000Z"],
    ["rounds up to the millisecond", hourly(7_200_000), 1, "2026-11-21T12:00:00.001Z"],
    ["a millisecond before the window ends", { quantity: 1, over: 1 }, 43_199_999, "2026-11-21T23:59:59.999Z"],
    ["exactly at the window's end is never", { quantity: 1, over: 1 }, 43_200_000, null],
    ["after the window's end is never", hourly(1), 1_000, null],
    ["nothing limits", hourly(100), null, null],
    ["exhausted already", hourly(100), 0, null],
    ["nothing is being used", hourly(0), 50, null],
    ["figures beyond 2^53", hourly(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER, "2026-11-21T13:00:00.000Z"],
  ])("%s", (_what, rate, remaining, expected) => {
    const at = projectedExhaustion(rate, remaining, DAY, noon);
    expect(at === null ? null : iso(at)).toBe(expected);
  });
});
