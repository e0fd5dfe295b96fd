import { describe, expect, it } from "vitest";
import { HOUR_MS } from "../../src/kernel/window.ts";
import { seriesAsCsv, seriesAsJson } from "../../src/http/series-text.ts";
import type { HistoryPoint } from "../../src/usage/history.ts";

const MIDNIGHT = Date.parse("2026-02-28T00:00:00Z");
const point = (hour: number, quantity: number, group?: string): HistoryPoint => ({
  start: MIDNIGHT + hour * HOUR_MS,
  quantity,
  ...(group === undefined ? {} : { group }),
});

/** Past one chunk, over midnight and the month's end. */
const long = (groups: readonly (string | undefined)[]): HistoryPoint[] =>
  Array.from({ length: 1_200 }, (_, i) => i).flatMap((hour) => groups.map((group) => point(hour, hour * 7 - 3, group)));

describe("a series as text", () => {
  it.each<[string, HistoryPoint[]]>([
    ["none", []],
    ["one", [point(0, 0)]],
    ["two", [point(0, -4), point(23, Number.MAX_SAFE_INTEGER)]],
    ["of groups", [point(1, 1, "a"), point(1, 2, "b"), point(25, 3, "")]],
    ["with a group that JSON must escape", [point(1, 1, 'a"\\\n\u2028é')]],
    ["of exactly one chunk", long([undefined]).slice(0, 512)],
    ["of one more", long([undefined]).slice(0, 513)],
    ["of several chunks", long(["a", "b"])],
  ])("%s is what JSON.stringify makes of it", (_what, series) => {
    const objects = series.map(({ start, quantity, group }) => ({
      start: new Date(start).toISOString(),
      quantity,
      ...(group === undefined ? {} : { group }),
    }));
    expect(seriesAsJson(series).toString()).toBe(JSON.stringify({ series: objects }));
  });

  it("is a line a point in CSV", () => {
    expect(seriesAsCsv([point(1, 5), point(24, -6)], false).toString()).toBe(
      "start,quantity\r\n2026-02-28T01:00:00.000Z,5\r\n2026-03-01T00:00:00.000Z,-6\r\n",
    );
    expect(seriesAsCsv([point(1, 5, "api"), point(1, 6, "")], true).toString()).toBe(
      "start,quantity,group\r\n2026-02-28T01:00:00.000Z,5,api\r\n2026-02-28T01:00:00.000Z,6,\r\n",
    );
    expect(seriesAsCsv([], true).toString()).toBe("start,quantity,group\r\n");
    expect(
      seriesAsCsv(long([undefined]), false)
        .toString()
        .split("\r\n"),
    ).toHaveLength(1_202);
  });
});
