import type { Unreadable } from "../../replay/trace.ts";
import type { Tally } from "../../replay/tally.ts";
import { proven, type MeterVerdict } from "../../replay/verdict.ts";
import { count, duration } from "../terminal/figures.ts";
import { table, type Cell } from "../terminal/table.ts";
import type { Style } from "../terminal/style.ts";
import { BOOKING_WAIT_MS, type Verification } from "./verify.ts";

/** Everything a replay has to say when it is over. */
export interface ReplayResult {
  trace: string;
  format: string;
  account: string;
  services: string[];
  tally: Tally;
  elapsedMs: number;
  unreadable: Unreadable;
  notes: string[];
  verification: Verification;
}

const right = "right" as const;

/** Operations a second, whole; 0 of no time is 0. */
export const rate = (operations: number, ms: number): number => (ms > 0 ? Math.round((operations * 1000) / ms) : 0);

/** The closing tables, and the verdict. */
export function reportLines(result: ReplayResult, style: Style): string[] {
  const { tally, elapsedMs, unreadable } = result;
  const total = tally.total();
  const lines = [
    `${result.trace} (${result.format}) on ${result.account}, service ${result.services.join(", ")}: ` +
      `${count(total.sent)} operations in ${duration(elapsedMs)} (${count(rate(total.sent, elapsedMs))}/s)`,
    "",
    ...operationLines(tally, style),
  ];
  const reasons = tally.reasons();
  if (reasons.length > 0) {
    lines.push(
      "",
      ...table(
        [{ title: "NOT ALLOWED BECAUSE" }, { title: "OPERATIONS", align: right }],
        reasons.map(([r, n]) => [r, count(n)]),
        style,
      ),
    );
  }
  lines.push("", ...meterLines(result.verification.meters, style));
  if (unreadable.count > 0)
    lines.push("", style.warning(`${count(unreadable.count)} lines could not be read and were left out (${unreadable.first ?? ""}).`));
  return [...lines, ...result.notes, "", verdictLine(result, style)];
}

function operationLines(tally: Tally, style: Style): string[] {
  const columns = ["SENT", "ALLOWED", "DENIED", "REFUSED", "UNKNOWN"].map((title) => ({ title, align: right }));
  const rows = [...tally.kinds(), tally.total()].map((row) => [
    row.kind,
    ...[row.sent, row.allowed, row.denied, row.refused, row.unknown].map(count),
  ]);
  return table([{ title: "OPERATION" }, ...columns], rows, style);
}

function meterLines(meters: readonly MeterVerdict[], style: Style): string[] {
  const columns = [{ title: "METER" }, { title: "COUNTED HERE", align: right }, { title: "IN POSTGRES", align: right }, { title: "" }];
  const rows = meters.map((m): Cell[] => [
    m.meter,
    count(m.counted),
    count(m.booked),
    { text: m.state, paint: m.state === "equal" ? style.good : m.state === "within unknown" ? style.warning : style.bad },
  ]);
  return table(columns, rows, style);
}

function verdictLine(result: ReplayResult, style: Style): string {
  const { meters, tookMs } = result.verification;
  if (proven(meters))
    return style.good(
      `Self-check passed: Postgres holds exactly what this replay counted (booked ${tookMs < 1000 ? "at once" : `within ${duration(tookMs)}`}).`,
    );
  const wrong = meters.filter((m) => m.state === "missing" || m.state === "too much");
  if (wrong.length === 0) {
    return style.warning(
      "Self-check open: some operations had no answer, so they may or may not have counted. Nothing contradicts the count.",
    );
  }
  const what = wrong.map((m) => `${m.meter} ${count(Math.abs(m.booked - m.counted))} ${m.state}`).join(", ");
  const waited = tookMs >= BOOKING_WAIT_MS ? ` after ${duration(tookMs)}` : "";
  return style.bad(`Self-check failed${waited}: ${what}. Other traffic on the same service would show here too.`);
}

/** The same as one JSON document. */
export function reportJson(result: ReplayResult): Record<string, unknown> {
  const { tally, verification, unreadable } = result;
  return {
    trace: result.trace,
    format: result.format,
    account: result.account,
    services: result.services,
    elapsedMs: Math.round(result.elapsedMs),
    operationsPerSecond: rate(tally.sent, result.elapsedMs),
    operations: tally.kinds(),
    total: tally.total(),
    reasons: Object.fromEntries(tally.reasons()),
    unreadableLines: unreadable,
    notes: result.notes,
    meters: verification.meters,
    verified: proven(verification.meters),
  };
}
