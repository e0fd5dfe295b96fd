/**
 * `npm run bench [-- --quick] [--json] [--only suite,…] [--rounds N] [--resume] [--write]`: measures Weir beside its peers, on servers of
 * its own. The full profile writes docs/benchmarks.md; a quick one, or a part, only with `--write`. Exits 1 when a benchmark fails to run;
 * a target that is missed is a figure, not a failure.
 */
import { parseArgs } from "node:util";
import { tempDir } from "../support/temp-dir.ts";
import { PROFILES, SUITES, type Profile, type SuiteName } from "./bench.ts";
import { machineFacts, openLedger } from "./ledger.ts";
import { jsonReport, lines, writeReport } from "./report.ts";
import { runSuite } from "./run-suite.ts";
import { startStores } from "./stores.ts";

const ROUNDS_MIN = 5;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    resume: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
  },
});

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function readProfile(): Profile {
  const profile = PROFILES[values.quick ? "quick" : "full"];
  if (values.rounds === undefined) return profile;
  const rounds = Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < ROUNDS_MIN) throw new Error(`--rounds takes a whole number from ${ROUNDS_MIN}`);
  return { ...profile, rounds };
}

function readSuites(): readonly SuiteName[] {
  if (values.only === undefined) return SUITES;
  const wanted = values.only.split(",");
  const unknown = wanted.filter((name) => !SUITES.some((suite) => suite === name));
  if (unknown.length > 0) throw new Error(`There is no benchmark ${unknown.join(", ")}; there are ${SUITES.join(", ")}.`);
  return SUITES.filter((name) => wanted.includes(name));
}

const profile = readProfile();
const suites = readSuites();
const dir = tempDir("bench");
let failed = 0;
const stores = await startStores(dir.path, say);
// Ctrl-C ends the child that measures; the servers are stopped here, whatever happened.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop().then(() => process.exit(130)));
const stop = async (): Promise<void> => {
  await stores.stop();
  dir.remove();
};
try {
  const facts = machineFacts(stores);
  const ledger = await openLedger(profile, facts, values.resume);
  for (const name of suites) {
    if (ledger.has(name)) {
      say(`${name}: kept from the run before`);
      continue;
    }
    const outcome = await runSuite(name, profile, stores, dir.path, say);
    if (outcome.error !== null) failed += 1;
    await ledger.put(name, outcome);
    for (const line of lines(outcome.results)) say(`  ${line}`);
    if (outcome.error !== null) say(`  FAILED: ${outcome.error}`);
  }
  const report = ledger.report(suites);
  if (values.write || (profile.name === "full" && suites.length === SUITES.length && failed === 0)) await writeReport(report);
  if (values.json) process.stdout.write(`${jsonReport(report)}\n`);
  else process.stdout.write(`${lines(report.suites.flatMap(({ results }) => results)).join("\n")}\n`);
} finally {
  await stop();
}
process.exit(failed === 0 ? 0 : 1);
