import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";
import { runTool, TOOLS } from "./tools.ts";

/** What is read of vitest's JSON report. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

export interface Count {
  passed: number;
  failed: number;
}

/** Runs vitest, showing what it says, and counts. A skipped test has proved nothing: it counts as failed. */
export async function runTests(args: readonly string[]): Promise<Count> {
  const dir = tempDir("report");
  try {
    const file = join(dir.path, "report.json");
    const { code } = await runTool(TOOLS.vitest, ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...args], {
      show: true,
    });
    const text = await readFile(file, "utf8").catch(() => null);
    const count = text === null ? { passed: 0, failed: 0 } : countOf(JSON.parse(text) as Report);
    // A crash, an error outside every test, a server that would not stop: vitest says so by its exit code alone.
    return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
  } finally {
    dir.remove();
  }
}

function countOf(report: Report): Count {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((result) => result.status === "failed"),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + report.numPendingTests + broken.length };
}
