import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { tempDir } from "./temp-dir.ts";
import { runTool, TOOLS } from "./tools.ts";

/** What is read of vitest's JSON report. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages?: string[] }[];
  }[];
}

export interface Count {
  passed: number;
  failed: number;
}

/**
 * Runs vitest, showing what it says, and counts. A skipped test has proved nothing: it counts as failed. What failed is named once
 * more at the end: a log of which only the last lines were kept still says it.
 */
export async function runTests(args: readonly string[]): Promise<Count> {
  const dir = tempDir("report");
  try {
    const file = join(dir.path, "report.json");
    const { code } = await runTool(TOOLS.vitest, ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...args], {
      show: true,
    });
    const text = await readFile(file, "utf8").catch(() => null);
    const report = text === null ? null : (JSON.parse(text) as Report);
    const count = report === null ? { passed: 0, failed: 0 } : countOf(report);
    if (report !== null) for (const line of failuresOf(report)) console.log(`FAILED ${line}`);
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

/** A line for each test, and each file that could not be loaded, that did not pass: where it is, its name, what was thrown. */
function failuresOf(report: Report): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(process.cwd(), name);
    const tests = assertionResults.filter((result) => result.status !== "passed");
    if (tests.length === 0) return status === "failed" ? [`${file}: ${firstLine(message)}`] : [];
    return tests.map((test) => `${file} > ${test.fullName}: ${firstLine(test.failureMessages?.[0] ?? test.status)}`);
  });
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
