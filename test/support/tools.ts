import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The development tools, by the script that starts each: run by our own Node, whatever `node` is on PATH. */
export const TOOLS = {
  types: "node_modules/typescript/bin/tsc",
  lint: "node_modules/oxlint/bin/oxlint",
  format: "node_modules/oxfmt/bin/oxfmt",
  vitest: "node_modules/vitest/vitest.mjs",
} as const;

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface ToolResult {
  /** The exit code; 1 when a signal ended it. */
  code: number;
  /** Its stdout and stderr, as they came; empty when `show`. */
  output: string;
}

/** Runs a tool in the repository's root; with `show` it writes straight to the terminal. */
export function runTool(script: string, args: readonly string[], options: { show?: boolean } = {}): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: ROOT,
      stdio: options.show ? "inherit" : ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const stop = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGTERM", stop).on("SIGHUP", stop);
    child.on("error", reject);
    child.on("close", (code) => {
      process.off("SIGTERM", stop).off("SIGHUP", stop);
      resolve({ code: code ?? 1, output });
    });
  });
}
