import type { Period, Window } from "../kernel/window.ts";

/** How far a meter was when it had reached the lowest of its thresholds or more, as the scripts note it. */
export interface Crossing {
  meter: string;
  /** The window it was reached in. A gauge's level stands in either. */
  periods: readonly Period[];
  windows: Record<Period, Window>;
  used: number;
  /** What the limits of then follow from: the text that was given to `load`. */
  limits: string;
  /** The limits' version then. */
  limitsVersion: number;
}

/** What stands when a crossing is read, for those that were noted since. */
export type Standing = Pick<Crossing, "windows" | "limits" | "limitsVersion">;

/**
 * Reads notes: `meter/period/window start` (`meter/level/0` for a gauge) → used, reached in the windows and under the limits that stand;
 * with `|limits version,day start,end,month start,end|limits` after it in and under those. In the order in which they were reached, as far
 * as it shows.
 */
export function readCrossings(noted: ReadonlyMap<string, string>, standing: Standing | null): Crossing[] {
  const crossings = [...noted].flatMap(([field, used]) => readCrossing(field, Number(used), standing) ?? []);
  // In one window more is used later.
  return crossings.sort((a, b) => a.windows.day.start - b.windows.day.start || a.used - b.used || a.limitsVersion - b.limitsVersion);
}

function readCrossing(field: string, used: number, standing: Standing | null): Crossing | null {
  const [what = "", stood, ...limits] = field.split("|");
  const then = stood === undefined ? standing : { ...readStood(stood), limits: limits.join("|") };
  if (!then) return null;
  const [meter = "", kind] = what.split("/");
  return { meter, periods: kind === "day" || kind === "month" ? [kind] : ["day", "month"], used, ...then };
}

function readStood(stood: string): Omit<Standing, "limits"> {
  const [limitsVersion = 0, dayStart = 0, dayEnd = 0, monthStart = 0, monthEnd = 0] = stood.split(",").map(Number);
  return { limitsVersion, windows: { day: { start: dayStart, end: dayEnd }, month: { start: monthStart, end: monthEnd } } };
}
