import { describe, expect, test } from "vitest";
import { meterTable, type MeterStanding } from "../../src/cli/meter-table.ts";
import { bar } from "../../src/cli/terminal/bar.ts";
import { bytes, count, duration, until, usd } from "../../src/cli/terminal/figures.ts";
import { LiveBlock } from "../../src/cli/terminal/live.ts";
import { ansiStyle, fitted, plainStyle, printable } from "../../src/cli/terminal/style.ts";
import { surface, type Surface } from "../../src/cli/terminal/surface.ts";
import { fields, table } from "../../src/cli/terminal/table.ts";

describe("table", () => {
  test("words stand left, figures right, nothing after the last word", () => {
    const lines = table(
      [{ title: "METER" }, { title: "USED", align: "right" }, { title: "RESETS" }],
      [
        ["a", "1,000", "now"],
        ["long_name", "7", ""],
      ],
      plainStyle,
    );
    expect(lines).toEqual(["METER       USED  RESETS", "a          1,000  now", "long_name      7"]);
  });

  test("colour does not change the widths", () => {
    const row = (paint: (s: string) => string) => [{ text: "x", paint }, "y"];
    const [, plain] = table([{ title: "AAAA" }, { title: "B" }], [row((s) => s)], plainStyle);
    const [, painted] = table([{ title: "AAAA" }, { title: "B" }], [row(ansiStyle.bad)], plainStyle);
    expect(plain).toBe("x     y");
    expect(painted).toBe("\u001b[31mx   \u001b[39m  y");
  });

  test("a name cannot break the row or the terminal", () => {
    const lines = table([{ title: "OBJECT" }, { title: "N" }], [["a\nb\u001b[2J", "1"]], plainStyle);
    expect(lines[1]).toBe("a\\nb\\x1b[2J  1");
  });

  test("an emoji is one column wide in the count", () => {
    expect(
      table(
        [{ title: "A" }, { title: "B" }],
        [
          ["🙂🙂", "x"],
          ["abcd", "y"],
        ],
        plainStyle,
      ).slice(1),
    ).toEqual(["🙂🙂    x", "abcd  y"]);
  });

  test("fields line their values up", () => {
    expect(
      fields(
        [
          ["id", "1"],
          ["plan", "free"],
        ],
        plainStyle,
      ),
    ).toEqual(["id    1", "plan  free"]);
  });
});

describe("the table of meters", () => {
  const standing: MeterStanding = {
    meter: "state_duration_gb_milliseconds",
    unit: "GB-ms",
    kind: "counter",
    period: "day",
    used: 12_999_999,
    reserved: 0,
    limit: 13_000_000,
    remaining: 1,
    percent: 99.99,
    state: "warning",
    source: "plan",
    resetsAt: "2026-11-22T00:00:00.000Z",
  };
  const usage = {
    asOf: "2026-11-21T12:00:00.000Z",
    meters: [standing, { ...standing, meter: "log_events", used: 0, limit: null, percent: null }],
  };
  const screen = (columns: number, isTTY: boolean): Surface => surface({ write: () => undefined, isTTY, columns }, { NO_COLOR: "1" });

  test.each([
    [80, 80],
    [200, 124],
  ])("in %d columns it has bars and is at most %d wide", (columns, most) => {
    const lines = meterTable(usage, { all: false }, screen(columns, true));
    expect(lines[1]).toMatch(/^\[#+-\] {2}state_duration_gb_milliseconds /);
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(most);
    expect(lines.join("\n")).toContain("in 12 h");
  });

  test("in a pipe it has no bars, and only what is of interest", () => {
    expect(meterTable(usage, { all: false }, screen(80, false))).toEqual([
      "METER                           WINDOW        USED       LIMIT  LEFT           RESETS",
      "state_duration_gb_milliseconds  day     12,999,999  13,000,000     1  99.99 %  in 12 h",
    ]);
    expect(meterTable(usage, { all: true }, screen(80, false))).toHaveLength(3);
  });
});

describe("bar", () => {
  test.each([
    [0, "[----------]"],
    [0.01, "[#---------]"],
    [50, "[#####-----]"],
    [99.99, "[#########-]"],
    [100, "[##########]"],
    [140, "[##########]"],
    [-3, "[----------]"],
  ])("%d %% looks like %s", (percent, expected) => {
    expect(bar(percent, 10, plainStyle)).toBe(expected);
  });

  test("an exceeded limit is red on a terminal", () => {
    expect(bar(100, 3, ansiStyle, "exceeded")).toBe("\u001b[31m███\u001b[39m");
  });
});

describe("figures", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_000, "1.00 kB"],
    [12_288, "12.3 kB"],
    [5_000_000_000, "5.00 GB"],
    [123_456_789, "123 MB"],
  ])("%d bytes is %s", (n, text) => expect(bytes(n)).toBe(text));

  test.each([
    [0, "$0.00"],
    [5_000_000, "$5.00"],
    [1_234_567_890_000, "$1,234,567.89"],
    [15, "$0.000015"],
    [150_000, "$0.15"],
    [-5_000_001, "-$5.000001"],
  ])("%d micro-USD is %s", (micros, text) => expect(usd(micros)).toBe(text));

  test.each([
    [0, "0 s"],
    [59_400, "59 s"],
    [61_000, "1 min 1 s"],
    [3_600_000, "1 h"],
    [12_060_000, "3 h 21 min"],
    [90_061_000, "1 d 1 h"],
  ])("%d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

  test("a reset is told from the given moment", () => {
    const now = Date.parse("2026-11-21T22:30:00.000Z");
    expect(until("2026-11-22T00:00:00.000Z", now)).toBe("in 1 h 30 min");
    expect(until("2026-11-21T22:30:00.000Z", now)).toBe("now");
    expect(until(null, now)).toBe("–");
  });

  test("counts are grouped", () => expect(count(9_007_199_254_740_991)).toBe("9,007,199,254,740,991"));
});

describe("surface", () => {
  const collect = (isTTY: boolean): { stream: { write: (s: string) => void; isTTY: boolean; columns: number }; text: () => string } => {
    let text = "";
    return { stream: { write: (s) => void (text += s), isTTY, columns: 80 }, text: () => text };
  };

  test.each([
    [true, {}, true],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [true, { TERM: "dumb" }, false],
    [false, {}, false],
  ])("terminal %s with %o: colour %s", (isTTY, env, colour) => {
    expect(surface(collect(isTTY).stream, env).style.colour).toBe(colour);
  });

  test("a terminal that says no width has a pipe's", () => {
    expect(surface({ ...collect(true).stream, columns: 0 }, {}).columns).toBe(100);
  });

  test("a live block is redrawn in place on a terminal and not at all in a pipe", () => {
    const [tty, pipe] = [collect(true), collect(false)];
    for (const { stream } of [tty, pipe]) {
      const block = new LiveBlock(surface(stream, {}));
      block.draw(() => ["one", "two"]);
      block.finish(() => ["three", "four"]);
    }
    expect(tty.text()).toBe("one\ntwo\n\u001b[2A\r\u001b[0Jthree\nfour\n");
    expect(pipe.text()).toBe("");
  });

  test("a line that is too long for the terminal is cut, its styles are not", () => {
    expect(fitted(`ab${ansiStyle.bad("cdef")}g`, 4)).toBe("ab\u001b[31mcd\u001b[39m");
    expect(fitted("🙂🙂🙂", 2)).toBe("🙂🙂");
  });

  test("control characters become visible", () => expect(printable("a\u0007b\tc\u009b")).toBe("a\\x07b\tc\\x9b"));
});
