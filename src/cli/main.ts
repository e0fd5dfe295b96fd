import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import { run } from "./program.ts";

// What was compiled once is kept, where it can be: a process loads in 0.4 s of its core instead of 0.9, and in a rolling restart that core is
// needed elsewhere. Commands are loaded after this line.
enableCompileCache(fileURLToPath(new URL("../../.runtime/compile-cache", import.meta.url)));

// `weir … | head` closes the pipe early: that is the reader's choice, not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const parsed = JSON.parse(text) as { version: string };
  return parsed.version;
}

await run(process.argv.slice(2), version());
