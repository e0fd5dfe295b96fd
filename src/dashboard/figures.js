/** How figures read to people, the same as on the command line. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const scaled = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const GB_MS = "GB-ms";

/** 100000 → `100,000`.
 * @param {number} n */
export const count = (n) => grouped.format(n);

/** Decimal units (1 GB = 10^9 bytes), three significant digits.
 * @param {number} n */
export function bytes(n) {
  let value = Math.abs(n);
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${n < 0 ? "−" : ""}${scaled.format(value)} ${BYTE_UNITS[unit]}`;
}

/** A quantity in its meter's unit: bytes are scaled, GB-ms are told in GB-s, everything else is counted.
 * @param {number | null} n
 * @param {string} unit */
export function quantity(n, unit) {
  if (n === null) return "–";
  if (unit === "byte") return bytes(n);
  if (unit === GB_MS) return `${n % 1000 === 0 || n >= 1e6 ? count(n / 1000) : (n / 1000).toFixed(3)} GB-s`;
  return count(n);
}

/** For the axis of a chart: `1.2M`.
 * @param {number} n
 * @param {string} unit */
export function short(n, unit) {
  if (unit === "byte") return bytes(n);
  const value = unit === GB_MS ? n / 1000 : n;
  const size = Math.abs(value);
  const [divisor, mark] = size >= 1e9 ? [1e9, "B"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${scaled.format(value / divisor)}${mark}`;
}

/** What one of a meter is called, after a number.
 * @param {string} unit
 * @param {number} n */
export function unitName(unit, n) {
  if (unit === "byte" || unit === GB_MS) return "";
  if (unit === "cpu_ms") return "CPU ms";
  return n === 1 ? unit : `${unit}s`;
}

/** `3 requests`, `1.2 GB`.
 * @param {number} n
 * @param {string} unit */
export const amount = (n, unit) => `${quantity(n, unit)} ${unitName(unit, n)}`.trim();

/** Micro-USD → dollars: at least cents, at most all six decimals, never rounded.
 * @param {number} micros */
export function usd(micros) {
  const whole = BigInt(Math.abs(micros));
  const fraction = (whole % 1000000n)
    .toString()
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  return `${micros < 0 ? "−" : ""}$${(whole / 1000000n).toLocaleString("en-US")}.${fraction}`;
}

const SPANS = /** @type {const} */ ([
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
]);

/** A length of time in its two largest units: `3 h 20 min`.
 * @param {number} ms */
export function duration(ms) {
  let rest = Math.max(0, Math.round(ms / 1000));
  const parts = [];
  for (const [name, size] of SPANS) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0 && parts.length < 2) parts.push(`${n} ${name}`);
    else if (parts.length > 0) break;
  }
  return parts.length > 0 ? parts.join(" ") : "0 s";
}

/** `in 3 h 20 min`, or `now`.
 * @param {string | null} instant
 * @param {number} now */
export function until(instant, now) {
  if (instant === null) return "–";
  const at = Date.parse(instant);
  return at <= now ? "now" : `in ${duration(at - now)}`;
}

/** `2 min ago`.
 * @param {string} instant
 * @param {number} now */
export function ago(instant, now) {
  const ms = now - Date.parse(instant);
  return ms < 2_000 ? "just now" : `${duration(ms).split(" ").slice(0, 2).join(" ")} ago`;
}

/** `Nov 21, 14:05 UTC`.
 * @param {string} instant */
export function moment(instant) {
  const date = new Date(instant);
  return `${date.toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" })}, ${instant.slice(11, 16)} UTC`;
}

/** `2026-11-21`.
 * @param {string} instant */
export const day = (instant) => instant.slice(0, 10);

/** `state_sqlite_rows_written` → `State SQLite rows written`.
 * @param {string} meter */
export function meterName(meter) {
  const words = meter.replaceAll("_", " ").replaceAll("gb milliseconds", "").trim();
  const named = words
    .replace(/\bsqlite\b/g, "SQLite")
    .replace(/\bkv\b/g, "KV")
    .replace(/\bcpu ms\b/g, "CPU time");
  return named.charAt(0).toUpperCase() + named.slice(1);
}
