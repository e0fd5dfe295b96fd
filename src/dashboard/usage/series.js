/** From what the API answers to what is drawn. Pure. */
import { serverNow } from "../clock.js";

/** @import { MeterStanding, Period, Usage } from "../types.ts" */

/** @typedef {"hour" | "day" | "month"} Granularity */
/** @typedef {{ value: number, text: string, kind: "cap" | "plan" }} LimitLine */

const SECONDS = { hour: 3_600, day: 86_400 };

/** @type {Record<string, { text: string, granularity: Granularity, days: number }>} */
const NAMED = {
  "hour-1": { text: "24 h", granularity: "hour", days: 1 },
  "hour-7": { text: "7 d", granularity: "hour", days: 7 },
  "day-30": { text: "30 d", granularity: "day", days: 30 },
  "hour-365": { text: "Year, hours", granularity: "hour", days: 365 },
  "day-365": { text: "Year, days", granularity: "day", days: 365 },
  "month-1095": { text: "Months", granularity: "month", days: 1_095 },
};

export const SPANS =
  /** @type {Record<string, { text: string, granularity: Granularity, days: number }> & { "day-30": { text: string, granularity: Granularity, days: number } }} */ (
    NAMED
  );

/** Epoch seconds and quantities, oldest first. A counter's spans without usage are left out of the answer and are 0; months are as they come.
 * @param {{ start: string, quantity: number }[]} series
 * @param {Granularity} granularity
 * @param {number} days
 * @param {"counter" | "gauge"} kind
 * @returns {[number[], number[]]} */
export function points(series, granularity, days, kind) {
  const given = series.map(({ start, quantity }) => /** @type {const} */ ([Date.parse(start) / 1000, quantity]));
  if (granularity === "month" || kind === "gauge") return [given.map(([at]) => at), given.map(([, n]) => n)];
  const step = SECONDS[granularity];
  const quantities = new Map(given);
  const last = Math.floor(serverNow() / 1000 / step) * step;
  const first = Math.floor((serverNow() / 1000 - days * 86_400) / step) * step;
  /** @type {[number[], number[]]} */
  const filled = [[], []];
  for (let at = first; at <= last; at += step) {
    filled[0].push(at);
    filled[1].push(quantities.get(at) ?? 0);
  }
  return filled;
}

/** The limits that one bar can be held against: those of its own window; of a gauge all.
 * @param {Usage} usage
 * @param {MeterStanding} standing
 * @param {Granularity} granularity
 * @returns {LimitLine[]} */
export function limitLines(usage, { meter, kind, limit, source, period }, granularity) {
  const fits = (/** @type {Period | null} */ of) => kind === "gauge" || of === granularity;
  const caps = usage.usageCaps.filter((c) => c.meter === meter && fits(c.period));
  const lines = caps.map((c) => ({
    value: c.capValue,
    text: kind === "gauge" ? "cap" : `cap a ${c.period}`,
    kind: /** @type {const} */ ("cap"),
  }));
  const plan = source === "plan" && limit !== null && fits(period);
  return plan ? [...lines, { value: limit, text: "plan", kind: "plan" }] : lines;
}
