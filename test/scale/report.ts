import type { Assumptions } from "./assumptions.ts";
import type { Measured } from "./measured.ts";
import type { Ledger, Load, Plan, Tier } from "./model.ts";

/** Three significant digits, thousands apart. */
function shown(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = value >= 1_000 ? Number(value.toPrecision(3)) : value;
  return rounded.toLocaleString("en-US", { maximumFractionDigits: Math.min(digits, 4) });
}

const gb = (value: number): string => (value >= 1_000 ? `${shown(value / 1_000)} TB` : `${shown(value)} GB`);
const usd = (value: number): string => `$${shown(value)}`;
const tier = (t: Tier): string => `${shown(t.processes)} on ${shown(t.machines)}`;

/** The plans side by side, then what they rest on. */
export function report(
  load: Load,
  { ledger, plans }: { ledger: Ledger; plans: readonly Plan[] },
  measured: Measured,
  assumptions: Assumptions,
  source: string,
): string {
  const row = (name: string, of: (plan: Plan) => string): string[] => [name, ...plans.map(of)];
  const rows = [
    row("", (p) => p.way),
    row("checks/s that reach Weir", (p) => shown(p.asked)),
    row("leases renewed/s", (p) => shown(p.renewed)),
    row("API processes, machines", (p) => tier(p.api)),
    row("Redis servers, machines", (p) => tier(p.redis)),
    row("roll-up workers, machines", (p) => tier(p.worker)),
    row("Postgres servers, machines", (p) => tier(p.postgres)),
    row("machines", (p) => shown(p.machines)),
    row("their memory", (p) => gb(p.memoryGb)),
    row("disk", (p) => gb(p.diskGb)),
    row("cost a month", (p) => usd(p.usdPerMonth)),
    row("cost a million checks", (p) => usd(p.usdPerMillionChecks)),
    row("p99 of a check that goes to Weir", (p) => (p.p99Ms === null ? "–" : `${shown(p.p99Ms)} ms`)),
    row("checks/s of the busiest account", (p) => shown(p.hottestPerSecond)),
    row("Redis slots it needs", (p) => shown(p.hottestSlots)),
  ];
  return [
    `${shown(load.accounts)} accounts, ${shown(load.objects)} objects, ${shown(load.checksPerSecond)} checks a second`,
    "",
    ...table(rows),
    "",
    `${percent(ledger.writeShare)} of the requests write. Redis holds ${gb(ledger.redisGb)}, before replicas and room for copies on write.`,
    `Postgres is written ${shown(ledger.rowsPerSecond)} rows a second (${shown(ledger.bucketRowsPerHour)} buckets an hour); ` +
      `one process would close the month in ${shown(ledger.closeHours)} hours.`,
    `A check out of a lease takes ${shown(measured.leasedCheckNs)} ns; Weir hears of it within a second.`,
    ...plans
      .filter((p) => p.hottestSlots > 1)
      .map((p) => `An account lives in one slot of Redis: with ${p.way}, the busiest one of this load does not fit.`),
    "",
    "Measured (docs/benchmarks.md; all parts shared two cores there):",
    ...Object.entries(measured).map(([name, value]) => `  ${name} ${shown(value)}`),
    "Assumed (test/scale/assumptions.ts says why):",
    ...Object.entries(assumptions).map(([name, value]: [string, unknown]) => `  ${name} ${JSON.stringify(value)}`),
    `Requests: ${source}; ${load.skew === null ? "keys' popularity stands for accounts'" : `accounts' Zipf alpha ${load.skew}`}.`,
    "Nothing of this was run at that size.",
  ].join("\n");
}

const percent = (share: number): string => `${shown(100 * share)} %`;

function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart((widths[column] ?? 0) + 2))).join(""),
  );
}
