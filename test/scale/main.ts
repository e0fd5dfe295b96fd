/**
 * `npm run simulate:scale -- [--accounts N] [--objects N] [--checks N] [--skew alpha] [--keyed share] [--months N] [--usd-per-hour N] [--json]`:
 * what a load takes, by measured costs and published request mixes.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import mixes from "../../src/replay/mixes.json" with { type: "json" };
import { ASSUMPTIONS, type Assumptions } from "./assumptions.ts";
import { measuredCosts } from "./measured.ts";
import { plans, type Load } from "./model.ts";
import { report } from "./report.ts";

/** The largest number of anything: sums stay exact, and the stretches of popularity few. */
const MOST = 1e12;

function number(name: string, text: string, least: number, most: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= least && value <= most) return value;
  throw new Error(`--${name} ${text}: a number from ${least} to ${most} is wanted.`);
}

try {
  const { values } = parseArgs({
    options: {
      accounts: { type: "string", default: "1e6" },
      objects: { type: "string", default: "1e9" },
      checks: { type: "string", default: "1e6" },
      skew: { type: "string" },
      keyed: { type: "string", default: String(ASSUMPTIONS.keyedShare) },
      months: { type: "string", default: String(ASSUMPTIONS.monthsKept) },
      "usd-per-hour": { type: "string", default: String(ASSUMPTIONS.machine.usdPerHour) },
      json: { type: "boolean", default: false },
    },
  });
  const load: Load = {
    accounts: number("accounts", values.accounts, 1, MOST),
    objects: number("objects", values.objects, 1, MOST),
    checksPerSecond: number("checks", values.checks, 1, MOST),
    skew: values.skew === undefined ? null : number("skew", values.skew, 0, 3),
  };
  const assumptions: Assumptions = {
    ...ASSUMPTIONS,
    keyedShare: number("keyed", values.keyed, 0, 1),
    monthsKept: number("months", values.months, 1, 120),
    machine: { ...ASSUMPTIONS.machine, usdPerHour: number("usd-per-hour", values["usd-per-hour"], 0, MOST) },
  };
  const measured = measuredCosts(await readFile(new URL("../../docs/benchmarks.md", import.meta.url), "utf8"));
  const worked = plans({ load, mixes: mixes.clusters, measured, assumptions });
  const credit = `${mixes.source} (${mixes.license})`;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ load, ...worked, measured, assumptions, requests: credit }, null, 2)}\n`
      : `${report(load, worked, measured, assumptions, credit)}\n`,
  );
} catch (error) {
  process.stderr.write(`simulate:scale: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
