import { readFileSync } from "node:fs";
import { run } from "./program.ts";

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
