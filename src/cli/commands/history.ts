import { Option, type Command } from "commander";
import type { Context } from "../context.ts";
import { show } from "../context.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { usageError } from "../failure.ts";
import { bar } from "../terminal/bar.ts";
import { count } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { table, type Column } from "../terminal/table.ts";

export interface HistoryOptions {
  history?: string;
  by?: "hour" | "day" | "month";
  from?: string;
  to?: string;
  groupBy?: "service" | "namespace";
}

interface HistoryAnswer {
  series: { start: string; quantity: number; group?: string }[];
}

const BAR_WIDTH = 30;
const ONLY_WITH_HISTORY = ["by", "from", "to", "groupBy"] as const;

/** Adds `--history <meter>` and what goes with it to a command. */
export function historyOptions(command: Command): Command {
  return command
    .option("--history <meter>", "one meter over time instead, oldest first")
    .addOption(new Option("--by <span>", "with --history: UTC hours or days, or billing months").choices(["hour", "day", "month"]))
    .option("--from <time>", "with --history: from when on, such as 2026-11-01T00:00:00Z")
    .option("--to <time>", "with --history: until when")
    .addOption(new Option("--group-by <what>", "with --history: apart by service or namespace").choices(["service", "namespace"]));
}

/** Refuses options that say nothing without `--history`. */
export function refuseStray(options: HistoryOptions): void {
  if (options.history === undefined && ONLY_WITH_HISTORY.some((name) => options[name] !== undefined))
    throw usageError("--by, --from, --to and --group-by go with --history.", "For example --history state_requests --by day.");
}

/** Prints the history of a meter. */
export async function showHistory(context: Context, meter: string, options: HistoryOptions): Promise<ExitCode> {
  const { by = "hour", from, to, groupBy } = options;
  const query = { meter, granularity: by, from, to, groupBy };
  const body = await context.api.call<HistoryAnswer>("GET", "/v1/usage/history", { query });
  show(context, body, ({ series }) => historyLines(series, { meter, by, groupBy }, context.out));
  return EXIT.ok;
}

/** A line a point; on a terminal each with a bar, the highest one full. */
export function historyLines(
  series: HistoryAnswer["series"],
  { meter, by, groupBy }: { meter: string; by: string; groupBy: string | undefined },
  out: Surface,
): string[] {
  if (series.length === 0) return [`Nothing is booked of ${meter} in that time.`];
  const highest = series.reduce((max, { quantity }) => Math.max(max, quantity), 1);
  const columns: Column[] = [
    { title: by.toUpperCase() },
    ...(groupBy === undefined ? [] : [{ title: groupBy.toUpperCase() }]),
    { title: "QUANTITY", align: "right" },
  ];
  const rows = series.map(({ start, quantity, group = "" }) => [
    startText(start, by),
    ...(groupBy === undefined ? [] : [group === "" ? "–" : group]),
    count(quantity),
  ]);
  const lines = table(columns, rows, out.style);
  if (!out.interactive) return lines;
  return lines.map((line, i) => {
    const point = series[i - 1];
    return point ? `${line}  ${bar((point.quantity / highest) * 100, BAR_WIDTH, out.style)}` : line;
  });
}

/** A UTC hour or day as short as it goes; a billing month may begin at any minute. */
const startText = (start: string, by: string): string => (by === "day" ? start.slice(0, 10) : `${start.slice(0, 16)}Z`);
