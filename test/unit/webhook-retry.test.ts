import { describe, expect, test } from "vitest";
import { ManualClock } from "../../src/kernel/clock.ts";
import { outcomeOf, type Ended } from "../../src/notifications/retry.ts";

const START = Date.parse("2026-11-21T12:00:00.000Z");
const HOUR = 3_600_000;
const refused = (statusCode: number | null, retryAfter: string | null = null): Ended => ({ statusCode, error: "bad_status", retryAfter });

/** The instants of all attempts of a delivery that only fails, in seconds after the first. */
function attempts(random: number): number[] {
  const clock = new ManualClock(START);
  const at: number[] = [];
  for (let failures = 0; ; failures += 1) {
    at.push((clock.now() - START) / 1000);
    const { nextAt, delivered } = outcomeOf(refused(500), failures, clock.now(), random);
    expect(delivered).toBe(false);
    if (nextAt === null) return at;
    clock.set(nextAt);
  }
}

describe("the schedule of retries", () => {
  test("without jitter: 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h", () => {
    expect(attempts(0)).toEqual([0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705]);
  });

  test("with the most jitter each wait is a fifth longer, never shorter", () => {
    expect(attempts(1)).toEqual([0, 6, 366, 2_526, 11_166, 32_766, 75_966, 136_446]);
  });

  test("goes on for at least 24 hours", () => {
    expect(attempts(0).at(-1)).toBeGreaterThanOrEqual((24 * HOUR) / 1000);
  });
});

test.each([200, 201, 204, 299])("%i is a delivery", (statusCode) => {
  expect(outcomeOf({ statusCode, error: null, retryAfter: null }, 0, START, 0)).toEqual({
    delivered: true,
    nextAt: null,
    pausedUntil: null,
    gone: false,
  });
});

test("410 wants nothing more, ever", () => {
  expect(outcomeOf(refused(410), 0, START, 0)).toEqual({ delivered: false, nextAt: null, pausedUntil: null, gone: true });
});

const asked: [name: string, ended: Ended, nextAfter: number, pausedFor: number | null][] = [
  ["500 pauses nothing", refused(500), 5_000, null],
  ["a connection that failed pauses nothing", refused(null), 5_000, null],
  ["429 slows the endpoint down", refused(429), 5_000, 30_000],
  ["502 does", refused(502), 5_000, 30_000],
  ["504 does", refused(504), 5_000, 30_000],
  ["Retry-After in seconds is honoured", refused(503, "120"), 120_000, 120_000],
  ["Retry-After as a date is honoured", refused(429, "Sat, 21 Nov 2026 12:10:00 GMT"), 600_000, 600_000],
  ["one shorter than the schedule does not hurry it", refused(429, "1"), 5_000, 1_000],
  ["one in the past asks for nothing", refused(429, "Sat, 21 Nov 2026 11:00:00 GMT"), 5_000, 0],
  ["an endless one is cut to six hours", refused(429, "999999999"), 6 * HOUR, 6 * HOUR],
  ["one that cannot be read is none", refused(500, "soon"), 5_000, null],
  ["a negative one is none", refused(500, "-5"), 5_000, null],
];
test.each(asked)("%s", (_name, ended, nextAfter, pausedFor) => {
  expect(outcomeOf(ended, 0, START, 0)).toEqual({
    delivered: false,
    nextAt: START + nextAfter,
    pausedUntil: pausedFor === null ? null : START + pausedFor,
    gone: false,
  });
});
