/**
 * `npm run test:adapters [filters]`: the adapters against Restate, Rivet and iii. Their packages (480 MB) are installed on first use, from
 * a lockfile of their own; where they cannot be, that is a failure. The last line is `N passed, N failed`.
 */
import { runTests } from "../support/run-tests.ts";
import { runTool, TOOLS } from "../support/tools.ts";
import { installRuntimes } from "./support/install.ts";

async function run(): Promise<{ passed: number; failed: number }> {
  try {
    await installRuntimes();
  } catch (error) {
    console.log(`FAILED runtimes\n${error instanceof Error ? error.message : String(error)}`);
    return { passed: 0, failed: 1 };
  }
  const types = await runTool(TOOLS.types, ["-p", "test/adapters"]);
  console.log(types.code === 0 ? "ok     types" : `FAILED types\n${types.output.trim()}`);
  const engine = process.env["III_ENGINE_URL"];
  console.log(
    engine === undefined
      ? "note   iii: III_ENGINE_URL is not set, so its tests run against a stand-in of the engine, not against the engine itself."
      : `note   iii: its tests run against the engine at ${engine}.`,
  );
  const tests = await runTests(["--config", "test/adapters/vitest.config.ts", ...process.argv.slice(2)]);
  return types.code === 0 ? { ...tests, passed: tests.passed + 1 } : { ...tests, failed: tests.failed + 1 };
}

const { passed, failed } = await run();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
