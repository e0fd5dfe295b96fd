import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { iso } from "../../src/kernel/window.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Campaign } from "./campaign.ts";

const PROOF = new URL("../../docs/proof.md", import.meta.url);
const BEGIN = "<!-- figures: npm run test:fault -- --write -->";
const END = "<!-- /figures -->";

/** A campaign's result in lines. */
export function figures({ seed, seconds, reports, ended }: Campaign): string[] {
  const total = (of: "operations" | "allowed" | "denied" | "overshoot" | "lost" | "twice" | "twiceInSplit" | "stranded"): number =>
    reports.reduce((sum, report) => sum + report[of], 0);
  const failed = reports.filter((report) => report.violations.length > 0);
  const lines = [
    `runs ${reports.length} (seeds ${seed}–${seed + reports.length - 1}), ${Math.round(seconds)} s`,
    `operations ${total("operations")}: allowed ${total("allowed")}, denied ${total("denied")}, unknown in the end ${total("operations") - total("allowed") - total("denied")}`,
    `units over a limit ${total("overshoot")} · acknowledged and lost ${total("lost")} · counted twice ${total("twice")} (by both primaries of a split brain, when sent again: ${total("twiceInSplit")}) · stranded ${total("stranded")}`,
    `processes that ended by themselves when a server died, and were started again ${ended}`,
    `failed runs ${failed.length}${failed.length > 0 ? `: seeds ${failed.map((report) => report.seed).join(", ")}` : ""}`,
  ];
  return [...lines, ...byCrash(reports)];
}

function byCrash(reports: Campaign["reports"]): string[] {
  const groups = [...Map.groupBy(reports, (report) => report.crash)].toSorted(([a], [b]) => a.localeCompare(b, "en"));
  return groups.map(([crash, of]) => {
    const sum = (name: "allowed" | "overshoot" | "lost" | "twice" | "stranded"): number =>
      of.reduce((total, report) => total + report[name], 0);
    return `  ${crash}: ${of.length} runs, ${sum("allowed")} allowed, over ${sum("overshoot")}, lost ${sum("lost")}, twice ${sum("twice")}, stranded ${sum("stranded")}`;
  });
}

/** Puts a campaign's figures into docs/proof.md. */
export async function writeProof(result: Campaign): Promise<void> {
  const text = await readFile(PROOF, "utf8");
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("docs/proof.md has lost the marks around its figures");
  const command = `npm run test:fault -- --runs ${result.reports.length} --seed ${result.seed} --write`;
  const where = `${iso(systemClock.now()).slice(0, 10)}, ${availableParallelism()} cores, Node ${process.versions.node}, ${process.platform}`;
  const block = [BEGIN, "", `\`${command}\` (${where})`, "", "```", ...figures(result), "```", "", END].join("\n");
  await writeFile(PROOF, `${before}${block}${after}`);
}
