/**
 * `npm run test:browser`: the dashboard in a real Chromium, which is installed where it is missing and can be had.
 * `npm run screenshots -- <folder>` does the same and keeps a picture of every view, at two widths, light and dark.
 */
import { resolve } from "node:path";
import { runTool, TOOLS } from "../support/tools.ts";

const [folder] = process.argv.slice(2);
if (folder !== undefined) process.env["WEIR_SCREENSHOTS"] = resolve(folder);
const { code } = await runTool(TOOLS.vitest, ["run", "--config", "test/browser/vitest.config.ts"], { show: true });
process.exitCode = code;
