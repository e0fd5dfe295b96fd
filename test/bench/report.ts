import { writeFile } from "node:fs/promises";
import type { Report } from "./ledger.ts";
import type { Result } from "./result.ts";

const DOCUMENT = new URL("../../docs/benchmarks.md", import.meta.url);

/** Three significant digits, thousands apart. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(digits, 4) });
}

const verdict = ({ met }: Result): string => (met === null ? "" : met ? "met" : "MISSED");

/** The results for a terminal, ratios first. */
export function lines(results: readonly Result[]): string[] {
  return results.map((result) => {
    const { name, value, unit, baseline, ratio, target } = result;
    const held = ratio === null ? "" : `${shown(ratio)}× `;
    const beside = baseline === null ? "" : ` beside ${shown(baseline)}`;
    const aim = target === null ? "" : ` (${target}: ${verdict(result)})`;
    return `${name}: ${held}[${shown(value)}${beside} ${unit}]${aim}`;
  });
}

/** What `--json` prints. */
export function jsonReport({ suites }: Report): string {
  const results = suites.flatMap((suite) =>
    suite.results.map(({ name, value, unit, baseline, ratio, target, met }) => ({ name, value, unit, baseline, ratio, target, met })),
  );
  return JSON.stringify({ results }, null, 2);
}

/** Writes docs/benchmarks.md. */
export async function writeReport({ facts, profile, suites }: Report): Promise<void> {
  const days = [...new Set(suites.map(({ at }) => at.slice(0, 10)))].join(", ");
  const results = suites.flatMap((suite) => suite.results);
  const missed = results.filter(({ met }) => met === false);
  const text = [
    "# Benchmarks",
    "",
    `Written by \`npm run bench${profile.name === "quick" ? " -- --quick --write" : ""}\` (${days}): ${facts.cores} cores (${facts.processor}), ${facts.memoryGb} GB, ${facts.platform}; Node ${facts.node}, Redis ${facts.redis}`,
    `(append-only file, synced every second), Postgres ${facts.postgres}. Everything of one table ran in one process and on one set of servers, in turns of`,
    `${profile.stretchMs / 1000} s, ${profile.rounds} rounds after one to warm up. **Ratio** is the median of the rounds' own ratios, value to baseline; values and baselines are medians.`,
    "Load generator, Weir, Redis and Postgres share these cores. Read the ratios: absolute figures are this machine's.",
    "",
    `Of ${results.filter(({ met }) => met !== null).length} targets ${missed.length} missed${missed.length === 0 ? "." : `: ${missed.map(({ name }) => `\`${name}\``).join(", ")}.`}`,
    ...suites.flatMap(({ name, title, results: own }) => ["", `## ${name}`, "", title, "", ...table(own)]),
    "",
  ].join("\n");
  await writeFile(DOCUMENT, text);
}

const table = (results: readonly Result[]): string[] => [
  "| figure | ratio | value | baseline | unit | target | |",
  "|---|---:|---:|---:|---|---|---|",
  ...results.map((r) => {
    const numbers = [r.ratio, r.value, r.baseline].map((n) => (n === null ? "" : shown(n)));
    return `| ${r.name} | ${numbers.join(" | ")} | ${r.unit} | ${r.target ?? ""} | ${verdict(r)} |`;
  }),
];
