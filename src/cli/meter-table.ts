import { bar } from "./terminal/bar.ts";
import { percent, quantity, until } from "./terminal/figures.ts";
import { table, type Cell, type Column } from "./terminal/table.ts";
import type { Surface } from "./terminal/surface.ts";

/** One row of `GET /v1/usage`'s `meters`. */
export interface MeterStanding {
  meter: string;
  unit: string;
  kind: "counter" | "gauge";
  /** The window of the limit that leaves least; null for a gauge. */
  period: "day" | "month" | null;
  used: number;
  reserved: number;
  limit: number | null;
  remaining: number | null;
  percent: number | null;
  state: "ok" | "warning" | "exceeded";
  source: string | null;
  resetsAt: string | null;
}

/** What the command line reads of `GET /v1/usage`. */
export interface UsageAnswer {
  account: string;
  plan: string;
  asOf: string;
  meters: MeterStanding[];
  billingEstimate?: {
    subscriptionUsdMicrosPerMonth: number;
    currentMonthOverageUsdMicros: number;
    estimatedMonthlyTotalUsdMicros: number;
    nextActions?: string[];
  };
}

const BAR_WIDTH = 20;

/** Meters as a table: those in use and State's limited ones, or all of them. */
export function meterTable(usage: Pick<UsageAnswer, "meters" | "asOf">, options: { all: boolean }, out: Surface): string[] {
  const shown = usage.meters.filter((m) => options.all || isOfInterest(m));
  const now = Date.parse(usage.asOf);
  const withReserved = shown.some((m) => m.reserved > 0);
  const columns: Column[] = [
    { title: "METER" },
    { title: "WINDOW" },
    { title: "USED", align: "right" },
    ...(withReserved ? [{ title: "RESERVED", align: "right" } as const] : []),
    { title: "LIMIT", align: "right" },
    { title: "LEFT", align: "right" },
    { title: "", align: "right" },
    { title: "RESETS" },
  ];
  const lines = table(
    columns,
    shown.map((m) => meterRow(m, withReserved, now, out)),
    out.style,
  );
  if (!out.interactive) return lines;
  // The bar stands after the padded row: its own escape sequences would upset the column widths.
  return lines.map((line, i) => (i === 0 ? `${" ".repeat(BAR_WIDTH)}  ${line}` : `${meterBar(shown[i - 1], out)}  ${line}`));
}

/** The bar of one standing; blanks of the same width where nothing limits. */
export function meterBar(m: Pick<MeterStanding, "percent" | "state"> | undefined, out: Surface): string {
  if (!m || m.percent === null) return " ".repeat(BAR_WIDTH + (out.style.colour ? 0 : 2));
  return bar(m.percent, BAR_WIDTH, out.style, m.state);
}

function isOfInterest(m: MeterStanding): boolean {
  return m.used > 0 || m.reserved > 0 || (m.limit !== null && m.meter.startsWith("state_"));
}

function meterRow(m: MeterStanding, withReserved: boolean, now: number, out: Surface): Cell[] {
  const figure = (n: number | null): string => (n === null ? "–" : quantity(n, m.unit));
  const paint = m.state === "exceeded" ? out.style.bad : m.state === "warning" ? out.style.warning : null;
  const share = percent(m.percent);
  return [
    m.meter,
    m.period ?? "level",
    figure(m.used),
    ...(withReserved ? [figure(m.reserved)] : []),
    figure(m.limit),
    figure(m.remaining),
    paint ? { text: share, paint } : share,
    m.period === null ? "–" : until(m.resetsAt, now),
  ];
}
