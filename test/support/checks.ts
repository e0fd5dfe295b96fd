import { monotonicMs } from "../../src/kernel/clock.ts";
import { staleFiles } from "./generated.ts";
import { runTool, TOOLS, type ToolResult } from "./tools.ts";

const CHECKS: readonly { name: string; run: () => Promise<ToolResult> }[] = [
  { name: "types", run: () => runTool(TOOLS.types, ["-p", "."]) },
  { name: "types of the dashboard", run: () => runTool(TOOLS.types, ["-p", "src/dashboard"]) },
  { name: "lint", run: () => runTool(TOOLS.lint, ["--deny-warnings"]) },
  { name: "format", run: () => runTool(TOOLS.format, ["--check", "."]) },
  { name: "generated files", run: generatedFiles },
];

/** Runs every check, says how each went, and counts: one check is one test. */
export async function runChecks(): Promise<{ passed: number; failed: number }> {
  let passed = 0;
  for (const { name, run } of CHECKS) {
    const from = monotonicMs();
    const { code, output } = await run();
    if (code === 0) passed += 1;
    console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${((monotonicMs() - from) / 1000).toFixed(1)} s)`);
    if (code !== 0) console.log(output.trim());
  }
  return { passed, failed: CHECKS.length - passed };
}

async function generatedFiles(): Promise<ToolResult> {
  const stale = await staleFiles({ write: false });
  return { code: stale.length === 0 ? 0 : 1, output: stale.map((file) => `${file} is not current: run \`npm run generate\`.`).join("\n") };
}
