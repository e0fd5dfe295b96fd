import { expect, test } from "vitest";
import { HOUR_MS, iso } from "../../src/kernel/window.ts";
import { unusualHours, type HourlyUsage } from "../../src/usage/rate-alert.ts";

const NOW = Date.parse("2026-11-21T12:20:00Z");
/** The last full hour. */
const LAST = Date.parse("2026-11-21T11:00:00Z");

/** `count` hours of `quantity`, the last of them `before` hours before the last full one. */
const hours = (count: number, quantity: number, before = 1): HourlyUsage[] =>
  Array.from({ length: count }, (_, i) => ({ hour: LAST - (before + i) * HOUR_MS, quantity }));
const at = (quantity: number, before = 0): HourlyUsage => ({ hour: LAST - before * HOUR_MS, quantity });

type Case = [what: string, usage: HourlyUsage[], expected: [hour: string, quantity: number, median: number][]];

test.each<Case>([
  ["nothing", [], []],
  ["ten times the median, exactly", [...hours(24, 200), at(2_000)], [["11:00", 2_000, 200]]],
  ["one unit less than ten times", [...hours(24, 200), at(1_999)], []],
  ["23 hours are too few to go by", [...hours(23, 200), at(2_000)], []],
  ["hours without usage do not count as hours", [...hours(23, 200), ...hours(40, 0, 24), at(2_000)], []],
  ["below the floor", [...hours(24, 1), at(999)], []],
  ["at the floor", [...hours(24, 1), at(1_000)], [["11:00", 1_000, 1]]],
  [
    "the median, not the mean: one earlier peak does not hide the next",
    [...hours(30, 200), at(9_000_000, 31), at(2_000)],
    [["11:00", 2_000, 200]],
  ],
  ["of an even number the lower of the middle two", [...hours(12, 100), ...hours(12, 300, 13), at(1_000)], [["11:00", 1_000, 100]]],
  ["usage older than a week is not usual", [...hours(24, 200, 169), at(2_000)], []],
  ["a week back to the hour is", [...hours(24, 200, 145), at(2_000)], [["11:00", 2_000, 200]]],
  ["the hour under way is not looked at", [...hours(24, 200), at(9_000, -1)], []],
  [
    "an hour the job missed, each against its own week",
    [...hours(24, 200, 3), at(3_000, 2), at(2_000, 1)],
    [
      ["09:00", 3_000, 200],
      ["10:00", 2_000, 200],
    ],
  ],
  ["an hour too long ago to be news", [...hours(24, 200, 4), at(3_000, 3)], []],
  [
    "quantities up to 2^53 − 1",
    [...hours(24, 900_719_925_474_099), at(Number.MAX_SAFE_INTEGER)],
    [["11:00", Number.MAX_SAFE_INTEGER, 900_719_925_474_099]],
  ],
])("%s", (_what, usage, expected) => {
  const shuffled = usage.toReversed();
  expect(unusualHours(shuffled, NOW).map(({ hour, quantity, median }) => [iso(hour).slice(11, 16), quantity, median])).toEqual(expected);
});
