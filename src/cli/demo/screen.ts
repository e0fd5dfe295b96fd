import { bar } from "../terminal/bar.ts";
import { count, duration, quantity } from "../terminal/figures.ts";
import type { Surface } from "../terminal/surface.ts";
import { rate } from "../replay/report.ts";
import type { MeterStanding, UsageAnswer } from "../meter-table.ts";

const BAR_MAX = 30;
const BAR_MIN = 5;
const NAME_WIDTH = 32;
/** Room for the longest figures: `13,000,000 of 13,000,000`, with the gaps around. */
const FIGURES_WIDTH = 30;

/** What the screen shows of the traffic. */
export interface Progress {
  elapsedMs: number;
  checks: number;
  denied: number;
}

/** The meters that the demo is about: State's, where something limits them. */
function demoMeters(usage: UsageAnswer): MeterStanding[] {
  return usage.meters.filter((m) => m.meter.startsWith("state_") && m.limit !== null);
}

/** The live block: one bar a meter, and the rate. */
export function frameLines(usage: UsageAnswer, progress: Progress, out: Surface): string[] {
  const barWidth = Math.max(BAR_MIN, Math.min(BAR_MAX, out.columns - NAME_WIDTH - FIGURES_WIDTH));
  const lines = demoMeters(usage).map((m) => {
    const figures = `${quantity(m.used, m.unit)} of ${m.limit === null ? "–" : quantity(m.limit, m.unit)}`;
    return `  ${m.meter.padEnd(NAME_WIDTH)}${bar(m.percent ?? 0, barWidth, out.style, m.state)}  ${figures}`;
  });
  return [...lines, "", `  ${progressText(progress)}`];
}

/** A rate over less than this says nothing, milliseconds. */
const RATE_AFTER_MS = 1_000;

/** The same for a pipe: one line now and then. */
export function progressText({ elapsedMs, checks, denied }: Progress): string {
  const speed = elapsedMs >= RATE_AFTER_MS ? `  ${count(rate(checks, elapsedMs))}/s` : "";
  return `${duration(elapsedMs)}  ${count(checks)} operations${speed}  ${count(denied)} denied`;
}
