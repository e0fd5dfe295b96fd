/**
 * `npm run test:browser`: the dashboard in a real Chromium, which is installed where it is missing and can be had.
 * `npm run screenshots -- <folder>` does the same and keeps a picture of every view, at two widths, light and dark.
 * Where no Chromium can be had it fails. The last line is `N passed, N failed`.
 */
import { resolve } from "node:path";
import { runTests } from "../support/run-tests.ts";
import { findChromium } from "./chromium.ts";

async function run(): Promise<{ passed: number; failed: number }> {
  if (findChromium() === null) {
    console.log("FAILED chromium: there is none, and apt-get could not install it");
    return { passed: 0, failed: 1 };
  }
  return runTests(["--config", "test/browser/vitest.config.ts"]);
}

const [folder] = process.argv.slice(2);
if (folder !== undefined) process.env["WEIR_SCREENSHOTS"] = resolve(folder);
const { passed, failed } = await run();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
