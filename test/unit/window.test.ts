import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bucketStart, DAY_MS, dayWindow, HOUR_MS, isTimezone, iso, monthWindow, parseInstant, windowsAt } from "../../src/kernel/window.ts";

const ms = (text: string): number => Date.parse(text);
const shown = ({ start, end }: { start: number; end: number }): [string, string] => [iso(start).slice(0, 16), iso(end).slice(0, 16)];

describe("the day", () => {
  test.each([
    ["2026-11-21T00:00:00.000Z", "2026-11-21T00:00", "2026-11-22T00:00"],
    ["2026-11-21T23:59:59.999Z", "2026-11-21T00:00", "2026-11-22T00:00"],
    ["2026-11-22T00:00:00.000Z", "2026-11-22T00:00", "2026-11-23T00:00"],
    ["2028-02-29T12:00:00.000Z", "2028-02-29T00:00", "2028-03-01T00:00"],
    ["1969-12-31T23:59:59.999Z", "1969-12-31T00:00", "1970-01-01T00:00"],
  ])("%s lies in [%s, %s)", (at, start, end) => {
    expect(shown(dayWindow(ms(at)))).toEqual([start, end]);
  });
});

type MonthCase = [at: string, anchorDay: number, timezone: string, start: string, end: string];

describe("the billing month, UTC", () => {
  test.each<MonthCase>([
    ["2026-11-01T00:00:00.000Z", 1, "UTC", "2026-11-01T00:00", "2026-12-01T00:00"],
    ["2026-10-31T23:59:59.999Z", 1, "UTC", "2026-10-01T00:00", "2026-11-01T00:00"],
    ["2026-12-31T23:59:59.999Z", 1, "UTC", "2026-12-01T00:00", "2027-01-01T00:00"],
    ["2026-11-14T23:59:59.999Z", 15, "UTC", "2026-10-15T00:00", "2026-11-15T00:00"],
    ["2026-11-15T00:00:00.000Z", 15, "UTC", "2026-11-15T00:00", "2026-12-15T00:00"],
    ["2027-01-05T00:00:00.000Z", 15, "UTC", "2026-12-15T00:00", "2027-01-15T00:00"],
    // Anchors past a short month's end are clamped to its last day, and come back to themselves afterwards.
    ["2026-02-15T00:00:00.000Z", 29, "UTC", "2026-01-29T00:00", "2026-02-28T00:00"],
    ["2026-02-28T00:00:00.000Z", 29, "UTC", "2026-02-28T00:00", "2026-03-29T00:00"],
    ["2028-02-28T23:59:59.999Z", 29, "UTC", "2028-01-29T00:00", "2028-02-29T00:00"],
    ["2028-02-29T00:00:00.000Z", 29, "UTC", "2028-02-29T00:00", "2028-03-29T00:00"],
    ["2026-02-27T23:59:59.999Z", 30, "UTC", "2026-01-30T00:00", "2026-02-28T00:00"],
    ["2026-03-29T23:59:59.999Z", 30, "UTC", "2026-02-28T00:00", "2026-03-30T00:00"],
    ["2028-02-29T00:00:00.000Z", 30, "UTC", "2028-02-29T00:00", "2028-03-30T00:00"],
    ["2026-02-15T00:00:00.000Z", 31, "UTC", "2026-01-31T00:00", "2026-02-28T00:00"],
    ["2026-02-28T00:00:00.000Z", 31, "UTC", "2026-02-28T00:00", "2026-03-31T00:00"],
    ["2028-02-28T12:00:00.000Z", 31, "UTC", "2028-01-31T00:00", "2028-02-29T00:00"],
    ["2026-04-30T00:00:00.000Z", 31, "UTC", "2026-04-30T00:00", "2026-05-31T00:00"],
    ["2026-05-30T23:59:59.999Z", 31, "UTC", "2026-04-30T00:00", "2026-05-31T00:00"],
    ["2100-02-28T00:00:00.000Z", 31, "UTC", "2100-02-28T00:00", "2100-03-31T00:00"], // 2100 is no leap year
    ["2026-12-31T00:00:00.000Z", 31, "UTC", "2026-12-31T00:00", "2027-01-31T00:00"],
  ])("%s, anchor %i, %s lies in [%s, %s)", (at, anchorDay, timezone, start, end) => {
    expect(shown(monthWindow(ms(at), { anchorDay, timezone }))).toEqual([start, end]);
  });
});

describe("the billing month in a zone", () => {
  test.each<MonthCase>([
    // Berlin goes to summer time on 2026-03-29 at 02:00 (a day of 23 h) and back on 2026-10-25 at 03:00 (25 h).
    ["2026-03-28T23:00:00.000Z", 29, "Europe/Berlin", "2026-03-28T23:00", "2026-04-28T22:00"],
    ["2026-03-28T22:59:59.999Z", 29, "Europe/Berlin", "2026-02-27T23:00", "2026-03-28T23:00"],
    ["2026-03-29T22:00:00.000Z", 30, "Europe/Berlin", "2026-03-29T22:00", "2026-04-29T22:00"],
    ["2026-10-24T22:00:00.000Z", 25, "Europe/Berlin", "2026-10-24T22:00", "2026-11-24T23:00"],
    ["2026-10-25T22:59:59.999Z", 26, "Europe/Berlin", "2026-09-25T22:00", "2026-10-25T23:00"],
    ["2026-10-31T23:30:00.000Z", 1, "Europe/Berlin", "2026-10-31T23:00", "2026-11-30T23:00"],
    // Local date and UTC date differ.
    ["2026-11-01T03:59:59.999Z", 1, "America/New_York", "2026-10-01T04:00", "2026-11-01T04:00"],
    ["2026-11-01T04:00:00.000Z", 1, "America/New_York", "2026-11-01T04:00", "2026-12-01T05:00"],
    ["2026-12-31T10:00:00.000Z", 1, "Pacific/Kiritimati", "2026-12-31T10:00", "2027-01-31T10:00"], // +14:00
    ["2027-01-01T11:59:59.999Z", 1, "Etc/GMT+12", "2026-12-01T12:00", "2027-01-01T12:00"],
    // Offsets of half and quarter hours.
    ["2026-10-31T18:30:00.000Z", 1, "Asia/Kolkata", "2026-10-31T18:30", "2026-11-30T18:30"],
    ["2026-10-31T18:29:59.999Z", 1, "Asia/Kolkata", "2026-09-30T18:30", "2026-10-31T18:30"],
    ["2026-02-15T00:00:00.000Z", 31, "Asia/Kathmandu", "2026-01-30T18:15", "2026-02-27T18:15"], // +5:45
    // Lord Howe moves by half an hour on 2026-04-05, from +11:00 to +10:30.
    ["2026-04-05T00:00:00.000Z", 5, "Australia/Lord_Howe", "2026-04-04T13:00", "2026-05-04T13:30"],
    ["2026-04-06T00:00:00.000Z", 6, "Australia/Lord_Howe", "2026-04-05T13:30", "2026-05-05T13:30"],
    // Beirut skips midnight on 2026-03-29: the day begins at 01:00, which is 22:00 UTC, and it repeats 23:00 on 2026-10-24.
    ["2026-03-28T22:00:00.000Z", 29, "Asia/Beirut", "2026-03-28T22:00", "2026-04-28T21:00"],
    ["2026-03-28T21:59:59.999Z", 29, "Asia/Beirut", "2026-02-27T22:00", "2026-03-28T22:00"],
    ["2026-10-24T21:30:00.000Z", 25, "Asia/Beirut", "2026-09-24T21:00", "2026-10-24T22:00"],
    // The Azores skip midnight on 2026-03-29 from −1:00 to 0:00, west of Greenwich.
    ["2026-03-29T01:00:00.000Z", 29, "Atlantic/Azores", "2026-03-29T01:00", "2026-04-29T00:00"],
    // Havana has midnight twice on 2026-11-01: the day begins at the first.
    ["2026-11-01T04:30:00.000Z", 1, "America/Havana", "2026-11-01T04:00", "2026-12-01T05:00"],
    // Apia had no 2011-12-30 at all: it went from −10:00 to +14:00 at that midnight.
    ["2011-12-30T10:00:00.000Z", 30, "Pacific/Apia", "2011-12-30T10:00", "2012-01-29T10:00"],
    ["2011-12-30T09:59:59.999Z", 30, "Pacific/Apia", "2011-11-30T10:00", "2011-12-30T10:00"],
  ])("%s, anchor %i, %s lies in [%s, %s)", (at, anchorDay, timezone, start, end) => {
    expect(shown(monthWindow(ms(at), { anchorDay, timezone }))).toEqual([start, end]);
  });

  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Cairo",
  ];
  const instant = fc.integer({ min: ms("2020-01-01T00:00:00Z"), max: ms("2035-01-01T00:00:00Z") });

  test("months tile time: each begins where the one before ends, on its own local day", () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: 1, max: 31 }), fc.constantFrom(...zones), (at, anchorDay, timezone) => {
        const calendar = { anchorDay, timezone };
        const month = monthWindow(at, calendar);
        expect(month.start <= at && at < month.end).toBe(true);
        expect(monthWindow(month.start, calendar)).toEqual(month);
        expect(monthWindow(month.end - 1, calendar)).toEqual(month);
        expect(monthWindow(month.end, calendar).start).toBe(month.end);
        expect(monthWindow(month.start - 1, calendar).end).toBe(month.start);
        const local = new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short" });
        const day = Number(local.format(month.start).slice(8));
        const nextDay = Number(local.format(month.start + DAY_MS + HOUR_MS).slice(8));
        expect(day === anchorDay || (day < anchorDay && nextDay === 1)).toBe(true);
        expect(local.format(month.start - 1)).not.toBe(local.format(month.start));
      }),
      { numRuns: 500 },
    );
  });

  test("day and month together", () => {
    const { day, month } = windowsAt(ms("2026-11-21T10:00:00Z"), { anchorDay: 21, timezone: "America/New_York" });
    expect(shown(day)).toEqual(["2026-11-21T00:00", "2026-11-22T00:00"]);
    expect(shown(month)).toEqual(["2026-11-21T05:00", "2026-12-21T05:00"]);
  });
});

describe("the bucket", () => {
  const month = { start: ms("2026-10-31T18:30:00Z"), end: ms("2026-11-30T18:30:00Z") };
  test.each([
    ["2026-10-31T18:30:00.000Z", "2026-10-31T18:30"], // the month's first bucket is cut
    ["2026-10-31T18:59:59.999Z", "2026-10-31T18:30"],
    ["2026-10-31T19:00:00.000Z", "2026-10-31T19:00"],
    ["2026-11-21T10:59:59.999Z", "2026-11-21T10:00"],
    ["2026-11-30T18:29:59.999Z", "2026-11-30T18:00"], // its last ends with the month
  ])("%s is booked at %s", (at, bucket) => {
    expect(iso(bucketStart(ms(at), month)).slice(0, 16)).toBe(bucket);
  });

  test("the next month's first bucket does not reach back", () => {
    const next = { start: month.end, end: ms("2026-12-31T18:30:00Z") };
    expect(iso(bucketStart(ms("2026-11-30T18:30:00Z"), next))).toBe("2026-11-30T18:30:00.000Z");
  });
});

describe("instants", () => {
  test.each([
    ["2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21t10:00:00z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.500Z"],
    ["2026-11-21T10:00:00.123456789Z", "2026-11-21T10:00:00.123Z"],
    ["2026-11-21T10:00:00+05:30", "2026-11-21T04:30:00.000Z"],
    ["2026-11-21T23:30:00-01:00", "2026-11-22T00:30:00.000Z"],
    ["2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"],
  ])("%s is %s", (text, expected) => {
    const at = parseInstant(text);
    expect(at === null ? null : iso(at)).toBe(expected);
  });

  test.each([
    "2026-11-21",
    "2026-11-21T10:00:00",
    "2026-11-21T10:00Z",
    "2026-11-21 10:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-11-00T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T10:60:00Z",
    "2026-11-21T10:00:60Z",
    "2026-11-21T10:00:00+24:00",
    "2026-11-21T10:00:00.1234567890Z",
    "+002026-11-21T10:00:00Z",
    "1795255200000",
    "",
    "now",
  ])("%j is none", (text) => {
    expect(parseInstant(text)).toBeNull();
  });
});

describe("zones", () => {
  test.each(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])("%s is one", (name) => {
    expect(isTimezone(name)).toBe(true);
  });

  test.each(["", "Nope/Zone", "+05:30", "-08:00", "Europe/Berlin ", "../etc/passwd", "Mars/Olympus"])("%j is none", (name) => {
    expect(isTimezone(name)).toBe(false);
  });
});
