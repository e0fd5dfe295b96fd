import { bar } from "../terminal/bar.ts";
import { count, duration, quantity } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { rate } from "../replay/report.ts";
import type { MeterStanding, UsageAnswer } from "../meter-table.ts";

const BAR_WIDTH = 30;
const NAME_WIDTH = 34;

/** What the screen shows of the traffic. */
export interface Progress {
  elapsedMs: number;
  checks: number;
  denied: number;
}

/** The meters that the demo is about: State's, where something limits them. */
export function demoMeters(usage: UsageAnswer): MeterStanding[] {
  return usage.meters.filter((m) => m.meter.startsWith("state_") && m.limit !== null);
}

/** The live block: one bar a meter, and the rate. */
export function frameLines(usage: UsageAnswer, progress: Progress, out: Surface): string[] {
  const lines = demoMeters(usage).map((m) => {
    const figures = `${quantity(m.used, m.unit)} of ${m.limit === null ? "–" : quantity(m.limit, m.unit)}`;
    return `  ${m.meter.padEnd(NAME_WIDTH)}${bar(m.percent ?? 0, BAR_WIDTH, out.style, m.state)}  ${figures}`;
  });
  return [...lines, "", `  ${progressText(progress)}`];
}

/** The same for a pipe: one line now and then. */
export function progressText({ elapsedMs, checks, denied }: Progress): string {
  return `${duration(elapsedMs)}  ${count(checks)} operations  ${count(rate(checks, elapsedMs))}/s  ${count(denied)} denied`;
}
