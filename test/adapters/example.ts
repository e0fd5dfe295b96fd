/** `npm run example <restate|rivet|iii>`: one adapter at work, against the Weir that `npm start` runs. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { installRuntimes } from "./support/install.ts";

const folder = join(import.meta.dirname, "examples");
const name = process.argv[2] ?? "";
const file = join(folder, `${name}.ts`);
if (/^[a-z]+$/.test(name) && name !== "weir" && existsSync(file)) {
  await installRuntimes();
  await import(file);
} else {
  const names = readdirSync(folder).map((entry) => entry.replace(".ts", ""));
  console.error(`Name an example: ${names.filter((entry) => entry !== "weir").join(", ")}.`);
  process.exitCode = 2;
}
