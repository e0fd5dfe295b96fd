import { expect, test } from "vitest";
import { historyLines, refuseStray } from "../../src/cli/commands/history.ts";
import { surface, type TextStream } from "../../src/cli/terminal/surface.ts";

const stream = (isTTY: boolean): TextStream => ({ write: () => true, isTTY, columns: 80 });
const pipe = surface(stream(false), {});
const terminal = surface(stream(true), { NO_COLOR: "1" });
const points = [
  { start: "2026-11-20T00:00:00.000Z", quantity: 1_500, group: "a" },
  { start: "2026-11-21T00:00:00.000Z", quantity: 3_000, group: "" },
];

test("a table for pipes, days as dates, the group of no name as a dash", () => {
  expect(historyLines(points, { meter: "m", by: "day", groupBy: "service" }, pipe)).toEqual([
    "DAY         SERVICE  QUANTITY",
    "2026-11-20  a           1,500",
    "2026-11-21  –           3,000",
  ]);
});

test("hours and billing months with their minute, and a bar each on a terminal", () => {
  expect(historyLines(points.slice(0, 1), { meter: "m", by: "month", groupBy: undefined }, pipe)[1]).toBe("2026-11-20T00:00Z     1,500");
  const lines = historyLines(points, { meter: "m", by: "hour", groupBy: undefined }, terminal);
  expect(lines[1]).toBe(`2026-11-20T00:00Z     1,500  [${"#".repeat(15)}${"-".repeat(15)}]`);
  expect(lines[2]).toBe(`2026-11-21T00:00Z     3,000  [${"#".repeat(30)}]`);
});

test("nothing but corrections makes no bar, nothing at all makes a sentence", () => {
  const given = [{ start: "2026-11-20T00:00:00.000Z", quantity: -5 }];
  expect(historyLines(given, { meter: "m", by: "day", groupBy: undefined }, terminal)[1]).toBe(`2026-11-20        -5  [${"-".repeat(30)}]`);
  expect(historyLines([], { meter: "m", by: "day", groupBy: undefined }, pipe)).toEqual(["Nothing is booked of m in that time."]);
});

test("what goes with --history is refused without it", () => {
  expect(() => refuseStray({ by: "day" })).toThrow("--history");
  expect(() => refuseStray({ history: "m", by: "day" })).not.toThrow();
  expect(() => refuseStray({})).not.toThrow();
});
