import { describe, expect, test } from "vitest";
import { iso } from "../../src/kernel/window.ts";
import { levelSeries, spanStarts, spanStretch, type Granularity } from "../../src/usage/history.ts";
import { sumEntries } from "../../src/usage/history-entries.ts";

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

describe("entries added up by span", () => {
  const packed = (entries: readonly [at: string, quantity: number][]) => {
    const bytes = (of: (entry: [string, number]) => bigint): Buffer =>
      Buffer.concat(
        entries.map(([at, quantity]) =>
          Buffer.from(
            BigInt.asUintN(64, of([at, quantity]))
              .toString(16)
              .padStart(16, "0"),
            "hex",
          ),
        ),
      );
    return {
      grp: "g",
      times: bytes(([at]) => BigInt(ms(at) - Date.UTC(2000, 0, 1)) * 1_000n),
      quantities: bytes(([, quantity]) => BigInt(quantity)),
    };
  };
  const MAX = Number.MAX_SAFE_INTEGER;
  const hours = ["2026-11-21T10:00", "2026-11-21T11:00", "2026-11-21T12:00"].map(ms);
  const months = ["2026-01-30T18:30", "2026-02-27T18:30", "2026-03-30T18:30"].map(ms);
  test.each<[string, Granularity, number[], [string, number][], [number, number][]]>([
    ["nothing", "hour", hours, [], []],
    ["one entry", "hour", hours, [["2026-11-21T11:59", 5]], [[1, 5]]],
    [
      "several, in any order",
      "hour",
      hours,
      [
        ["2026-11-21T12:30", 4],
        ["2026-11-21T10:00", 1],
        ["2026-11-21T12:00", 3],
      ],
      [
        [0, 1],
        [2, 7],
      ],
    ],
    [
      "what was given back",
      "hour",
      hours,
      [
        ["2026-11-21T10:00", 5],
        ["2026-11-21T10:10", -9],
      ],
      [[0, -4]],
    ],
    [
      "sums that pass 2^53 on the way and come back",
      "hour",
      hours,
      [
        ["2026-11-21T10:00", MAX],
        ["2026-11-21T10:01", MAX],
        ["2026-11-21T10:02", -MAX],
        ["2026-11-21T10:03", -2],
      ],
      [[0, MAX - 2]],
    ],
    [
      "sums that stay beyond it are cut off there",
      "hour",
      hours,
      [
        ["2026-11-21T10:00", MAX],
        ["2026-11-21T10:01", 1],
        ["2026-11-21T11:00", -MAX],
        ["2026-11-21T11:00", -MAX],
      ],
      [
        [0, MAX],
        [1, -MAX],
      ],
    ],
    [
      "months of different lengths, at their edges",
      "month",
      months,
      [
        ["2026-01-30T18:30", 1],
        ["2026-02-27T18:29", 2],
        ["2026-02-27T18:30", 4],
        ["2026-04-29T00:00", 8],
      ],
      [
        [0, 3],
        [1, 4],
        [2, 8],
      ],
    ],
  ])("%s", (_what, granularity, starts, entries, expected) => {
    const [sums] = sumEntries([packed(entries)], granularity, starts);
    expect(sums?.spans.map((span, i) => [span, sums.quantities[i]])).toEqual(expected);
  });
});
