/**
 * `npm run --silent sbom`: what Weir ships, as CycloneDX JSON on stdout. npm reads the lockfile alone and leaves out
 * what only tests need, so the list is the same on every machine.
 */
import { spawnSync } from "node:child_process";

const NPM_MS = 60_000;
const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--omit", "dev"];
const npm = spawnSync("npm", args, { stdio: "inherit", timeout: NPM_MS, shell: process.platform === "win32" });
if (npm.error) process.stderr.write(`npm sbom did not run: ${npm.error.message}\n`);
process.exitCode = npm.status ?? 1;
