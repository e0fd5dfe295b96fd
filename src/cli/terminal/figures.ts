/** How figures read to people. JSON carries the exact integers; these are for eyes. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 100000 → `100,000`. */
export const count = (n: number): string => grouped.format(n);

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Decimal units (1 GB = 10^9 bytes), three significant digits: `1.20 MB`. */
export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return `${n} B`;
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${BYTE_UNITS[unit] ?? "B"}`;
}

/** A quantity in its meter's unit: bytes are scaled, everything else is counted. */
export const quantity = (n: number, unit: string): string => (unit === "byte" ? bytes(n) : count(n));

/** Micro-USD → dollars: at least cents, at most all six decimals, never rounded. */
export function usd(micros: number): string {
  const sign = micros < 0 ? "-" : "";
  const whole = BigInt(Math.abs(micros));
  const fraction = (whole % 1_000_000n)
    .toString()
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  return `${sign}$${(whole / 1_000_000n).toLocaleString("en-US")}.${fraction}`;
}

/** A length of time in its two largest units: `3 h 20 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const units: [string, number][] = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const parts: string[] = [];
  let rest = seconds;
  for (const [name, size] of units) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0 && parts.length < 2) parts.push(`${n} ${name}`);
    else if (parts.length > 0) break;
  }
  return parts.length > 0 ? parts.join(" ") : "0 s";
}

/** `in 3 h 20 min`, seen from `nowMs`; `–` where there is no such time. */
export function until(instant: string | null | undefined, nowMs: number): string {
  const at = instant ? Date.parse(instant) : NaN;
  return Number.isNaN(at) ? "–" : at <= nowMs ? "now" : `in ${duration(at - nowMs)}`;
}

/** 0.04 → `0.04 %`; null → `–`. */
export const percent = (n: number | null): string => (n === null ? "–" : `${n} %`);
