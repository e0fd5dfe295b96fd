/**
 * Calendar arithmetic, all of it. Windows are half-open `[start, end)` in epoch milliseconds: a unit exactly
 * at the end belongs to the next window.
 */
export interface Window {
  start: number;
  end: number;
}

export type Period = "day" | "month";
export const PERIODS = ["day", "month"] as const;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** The UTC calendar day of `at`. */
export function dayWindow(at: number): Window {
  const start = Math.floor(at / DAY_MS) * DAY_MS;
  return { start, end: start + DAY_MS };
}

/** When an account's billing months begin. */
export interface BillingCalendar {
  /** 1–31, clamped to a short month's last day. */
  anchorDay: number;
  /** IANA name, e.g. `Europe/Berlin`. */
  timezone: string;
}

/**
 * The billing month that holds `at`: from local midnight of the anchor day to the next one. Each edge is computed
 * from the anchor, never from the edge before it: Jan 31 + "a month" repeated would drift to the 28th for good.
 */
export function monthWindow(at: number, calendar: BillingCalendar): Window {
  const local = localDate(at, calendar.timezone);
  let edge = { year: local.year, month: local.month };
  if (at < monthStart(edge, calendar)) edge = addMonths(edge, -1);
  return { start: monthStart(edge, calendar), end: monthStart(addMonths(edge, 1), calendar) };
}

/** The day and the billing month that hold `at`. */
export function windowsAt(at: number, calendar: BillingCalendar): Record<Period, Window> {
  return { day: dayWindow(at), month: monthWindow(at, calendar) };
}

/**
 * Where usage at `at` is booked: its UTC hour, cut at the billing month's start. In zones off the full hour
 * (India is +5:30) a month begins inside an hour; the cut keeps every bucket inside one month.
 */
export function bucketStart(at: number, month: Window): number {
  const hour = Math.floor(at / HOUR_MS) * HOUR_MS;
  return hour < month.start && month.start <= at ? month.start : hour;
}

/** True when the runtime knows the IANA zone. An offset such as `+05:30` is no zone: it has no daylight-saving rules. */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatter(name);
    return true;
  } catch {
    return false;
  }
}

export const iso = (epochMs: number): string => new Date(epochMs).toISOString();

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})[Tt](?:[01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an RFC 3339 time with a zone; null for anything else. A bare date or a local time is refused: it names no instant. */
export function parseInstant(text: string): number | null {
  const [, year, month, day] = INSTANT.exec(text) ?? [];
  // Date.parse would take February 30 as March 2: usage would land in another month than it says.
  if (Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()) return null;
  const at = day === undefined ? NaN : Date.parse(text);
  return Number.isNaN(at) ? null : at;
}

interface YearMonth {
  year: number;
  /** 0–11. */
  month: number;
}

function addMonths({ year, month }: YearMonth, n: number): YearMonth {
  const total = year * 12 + month + n;
  return { year: Math.floor(total / 12), month: ((total % 12) + 12) % 12 };
}

function monthStart({ year, month }: YearMonth, { anchorDay, timezone }: BillingCalendar): number {
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return localMidnight(Date.UTC(year, month, Math.min(anchorDay, lastDay)), timezone);
}

/** The first instant of a local day, given as that day's midnight in UTC. */
function localMidnight(utcMidnight: number, timezone: string): number {
  if (timezone === "UTC") return utcMidnight;
  // A day is never further than one offset change from its UTC midnight, so the offsets a day either side cover it.
  const before = zoneOffset(utcMidnight - DAY_MS, timezone);
  const after = zoneOffset(utcMidnight + DAY_MS, timezone);
  for (const offset of [before, after]) {
    const at = utcMidnight - offset;
    if (zoneOffset(at, timezone) === offset) return at;
  }
  // Midnight is skipped (a change at 00:00, as in Beirut): the day begins at the change itself.
  return utcMidnight - before;
}

/** Milliseconds that local time is ahead of UTC at `at`. */
function zoneOffset(at: number, timezone: string): number {
  const p = localParts(at, timezone);
  return Date.UTC(p.year, p.month, p.day, p.hour, p.minute, p.second) - Math.floor(at / 1000) * 1000;
}

function localDate(at: number, timezone: string): YearMonth {
  if (timezone !== "UTC") return localParts(at, timezone);
  const date = new Date(at);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() };
}

function localParts(at: number, timezone: string): YearMonth & Record<"day" | "hour" | "minute" | "second", number> {
  const parts = Object.fromEntries(
    formatter(timezone)
      .formatToParts(at)
      .map((p) => [p.type, Number(p.value)]),
  );
  return {
    year: parts["year"] ?? NaN,
    month: (parts["month"] ?? NaN) - 1,
    day: parts["day"] ?? NaN,
    hour: parts["hour"] ?? NaN,
    minute: parts["minute"] ?? NaN,
    second: parts["second"] ?? NaN,
  };
}

// There are some 600 zones, but `eUROPE/bERLIN` names one as well: without a bound, callers could fill the memory.
const FORMATTERS_MAX = 1_000;

// One formatter a zone: making one costs about 50 µs, asking it 1 µs.
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(timezone: string): Intl.DateTimeFormat {
  let found = formatters.get(timezone);
  if (!found) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    if (formatters.size >= FORMATTERS_MAX) formatters.clear();
    formatters.set(timezone, found);
  }
  return found;
}
