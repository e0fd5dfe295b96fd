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
    creditsAppliedUsdMicros?: number;
    estimatedMonthlyTotalUsdMicros: number;
    nextActions?: string[];
  };
}

/** A table with every column and a bar before it needs this many columns; what is narrower gets the short one. */
const WIDE_COLUMNS = 124;
const WIDE_BAR = 20;
const NARROW_BAR = 12;

/** Meters as a table: those in use and State's limited ones, or all of them. On a terminal each has a bar, in 80 columns too. */
export function meterTable(usage: Pick<UsageAnswer, "meters" | "asOf">, options: { all: boolean }, out: Surface): string[] {
  const shown = usage.meters.filter((m) => options.all || isOfInterest(m));
  const now = Date.parse(usage.asOf);
  if (!out.interactive) return fullTable(shown, now, out);
  const wide = out.columns >= WIDE_COLUMNS;
  const width = wide ? WIDE_BAR : NARROW_BAR;
  const lines = wide ? fullTable(shown, now, out) : shortTable(shown, out);
  // The bar stands before the finished row: its own escape sequences would upset the column widths.
  const barred = lines.map((line, i) => `${i === 0 ? noBar(width, out) : meterBar(shown[i - 1], width, out)}  ${line}`);
  return wide ? barred : [...barred, ...resetLines(shown, now, out)];
}

/** The bar of one standing; blanks of the same width where nothing limits. */
function meterBar(m: MeterStanding | undefined, width: number, out: Surface): string {
  return !m || m.percent === null ? noBar(width, out) : bar(m.percent, width, out.style, m.state);
}

// Without colour a bar wears brackets.
const noBar = (width: number, out: Surface): string => " ".repeat(width + (out.style.colour ? 0 : 2));

function isOfInterest(m: MeterStanding): boolean {
  return m.used > 0 || m.reserved > 0 || (m.limit !== null && m.meter.startsWith("state_"));
}

const right = "right" as const;
const figure = (n: number | null, m: MeterStanding): string => (n === null ? "–" : quantity(n, m.unit));

function share(m: MeterStanding, out: Surface): Cell {
  const text = percent(m.percent);
  if (m.state === "ok") return text;
  return { text, paint: m.state === "exceeded" ? out.style.bad : out.style.warning };
}

function fullTable(shown: readonly MeterStanding[], now: number, out: Surface): string[] {
  const withReserved = shown.some((m) => m.reserved > 0);
  const columns: Column[] = [
    { title: "METER" },
    { title: "WINDOW" },
    { title: "USED", align: right },
    ...(withReserved ? [{ title: "RESERVED", align: right }] : []),
    { title: "LIMIT", align: right },
    { title: "LEFT", align: right },
    { title: "", align: right },
    { title: "RESETS" },
  ];
  const rows = shown.map((m): Cell[] => [
    m.meter,
    m.period ?? "level",
    figure(m.used, m),
    ...(withReserved ? [figure(m.reserved, m)] : []),
    figure(m.limit, m),
    figure(m.remaining, m),
    share(m, out),
    m.period === null ? "–" : until(m.resetsAt, now),
  ]);
  return table(columns, rows, out.style);
}

function shortTable(shown: readonly MeterStanding[], out: Surface): string[] {
  const columns: Column[] = [
    { title: "METER" },
    { title: "", align: right },
    { title: "USED", align: right },
    { title: "LIMIT", align: right },
  ];
  return table(
    columns,
    shown.map((m) => [m.meter, share(m, out), figure(m.used + m.reserved, m), figure(m.limit, m)]),
    out.style,
  );
}

function resetLines(shown: readonly MeterStanding[], now: number, out: Surface): string[] {
  const limited = shown.filter((m) => m.period !== null && m.limit !== null);
  const resets = new Map(limited.map((m) => [m.period, m.resetsAt]));
  return [...resets].map(([period, at]) => out.style.faint(`Limits of the ${period} reset ${until(at, now)}.`));
}
