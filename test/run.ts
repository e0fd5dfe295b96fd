/**
 * `npm test [filters]`: the checks, then every test against a real Postgres and Redis. The last line is `N passed, N failed`, where
 * a check counts as a test and so does a test file that cannot be loaded. `--checks-only` leaves the tests out (`npm run check`).
 */
import { runChecks } from "./support/checks.ts";
import { runTests } from "./support/run-tests.ts";

const args = process.argv.slice(2);
const checks = await runChecks();
const tests = args[0] === "--checks-only" ? { passed: 0, failed: 0 } : await runTests(args);
const failed = checks.failed + tests.failed;
console.log(`${checks.passed + tests.passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
