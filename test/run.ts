/**
 * `npm test [filters]`: the checks, then every test against a real Postgres and Redis. The last line is `N passed, N failed`, where
 * a check counts as a test and so does a test file that cannot be loaded. `--checks-only` leaves the tests out (`npm run check`).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecks } from "./support/checks.ts";
import { tempDir } from "./support/temp-dir.ts";
import { runTool, TOOLS } from "./support/tools.ts";

/** What is read of vitest's JSON report. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

interface Count {
  passed: number;
  failed: number;
}

async function runTests(filters: readonly string[]): Promise<Count> {
  const dir = tempDir("report");
  try {
    const file = join(dir.path, "report.json");
    const { code } = await runTool(
      TOOLS.vitest,
      ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters],
      {
        show: true,
      },
    );
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
  // A skipped test has proved nothing.
  return { passed: report.numPassedTests, failed: report.numFailedTests + report.numPendingTests + broken.length };
}

const args = process.argv.slice(2);
const checks = await runChecks();
const tests = args[0] === "--checks-only" ? { passed: 0, failed: 0 } : await runTests(args);
const failed = checks.failed + tests.failed;
console.log(`${checks.passed + tests.passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
