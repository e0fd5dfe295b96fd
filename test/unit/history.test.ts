import { describe, expect, test } from "vitest";
import { iso } from "../../src/kernel/window.ts";
import { levelSeries, spanStarts, spanStretch, type Granularity } from "../../src/usage/history.ts";

const ms = (text: string): number => Date.parse(`${text}:00Z`);
const UTC = { anchorDay: 1, timezone: "UTC" };
const KOLKATA = { anchorDay: 31, timezone: "Asia/Kolkata" };

describe("the spans of a stretch", () => {
  test.each<[Granularity, typeof UTC, string, string, string[]]>([
    ["hour", UTC, "2026-11-21T10:00", "2026-11-21T12:00", ["2026-11-21T10:00", "2026-11-21T11:00"]],
    ["hour", UTC, "2026-11-21T10:59", "2026-11-21T11:01", ["2026-11-21T10:00", "2026-11-21T11:00"]],
    ["hour", UTC, "2026-11-21T10:30", "2026-11-21T10:30", []],
    ["hour", UTC, "2026-11-21T10:00", "2026-11-21T10:00", []],
    ["day", UTC, "2028-02-28T12:00", "2028-03-01T00:00", ["2028-02-28T00:00", "2028-02-29T00:00"]],
    ["day", KOLKATA, "2026-11-21T23:59", "2026-11-22T00:00", ["2026-11-21T00:00"]],
    ["month", UTC, "2026-11-21T00:00", "2026-12-01T00:00", ["2026-11-01T00:00"]],
    ["month", UTC, "2026-11-21T00:00", "2026-12-01T00:01", ["2026-11-01T00:00", "2026-12-01T00:00"]],
    ["month", KOLKATA, "2026-01-31T00:00", "2026-03-31T00:00", ["2026-01-30T18:30", "2026-02-27T18:30", "2026-03-30T18:30"]],
  ])("by %s, %o, from %s to %s", (granularity, calendar, from, to, expected) => {
    const stretch = spanStretch(granularity, { start: ms(from), end: ms(to) }, calendar);
    expect(spanStarts(granularity, stretch, calendar).map((start) => iso(start).slice(0, 16))).toEqual(expected);
  });
});

describe("the level at the end of each span", () => {
  const hours = ["2026-11-21T10:00", "2026-11-21T11:00", "2026-11-21T12:00", "2026-11-21T13:00"].map(ms);
  const end = ms("2026-11-21T14:00");
  const late = end + 1;
  test.each<[string, [string, number][], number, (number | null)[]]>([
    ["nothing known", [], late, [null, null, null, null]],
    ["known before, never changed", [["2026-10-01T00:00", 7]], late, [7, 7, 7, 7]],
    ["known from the second span on", [["2026-11-21T11:59", 7]], late, [null, 7, 7, 7]],
    [
      "a change exactly at an end belongs to the next span",
      [
        ["2026-11-21T10:00", 1],
        ["2026-11-21T12:00", 2],
      ],
      late,
      [1, 1, 2, 2],
    ],
    [
      "the last of several changes counts, down to 0",
      [
        ["2026-11-21T10:00", 1],
        ["2026-11-21T10:10", 9],
        ["2026-11-21T10:20", 0],
      ],
      late,
      [0, 0, 0, 0],
    ],
    [
      "the span under way shows the level so far, later ones nothing",
      [
        ["2026-11-21T10:00", 1],
        ["2026-11-21T11:10", 5],
      ],
      ms("2026-11-21T11:30"),
      [1, 5, null, null],
    ],
    ["a span that begins now is under way", [["2026-11-21T10:00", 1]], ms("2026-11-21T12:00"), [1, 1, 1, null]],
  ])("%s", (_what, changes, now, expected) => {
    const points = levelSeries(
      changes.map(([at, level]) => ({ at: ms(at), level })),
      hours,
      end,
      now,
    );
    expect(hours.map((start) => points.find((p) => p.start === start)?.quantity ?? null)).toEqual(expected);
    expect(points).toHaveLength(expected.filter((level) => level !== null).length);
  });
});
