/** `npm run test:fault -- [--runs N] [--seed S] [--lanes L] [--write]`: randomized runs with crashes; exits 1 when one fails. */
import { parseArgs } from "node:util";
import { campaign, describeFailure } from "./campaign.ts";
import { figures, writeProof } from "./proof.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    lanes: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const lanes = Number(values.lanes);
if (!Number.isSafeInteger(lanes) || lanes < 1 || lanes > 16) throw new Error("--lanes takes a whole number from 1 to 16");
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed) || seed < 0)
  throw new Error("--runs and --seed take whole numbers");

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const result = await campaign({
  runs,
  seed,
  lanes,
  told: (report, n) => {
    if (report.violations.length > 0) say(describeFailure(report));
    else if ((n + 1) % 10 === 0) say(`run ${n + 1} of ${runs} has passed`);
  },
});
for (const line of figures(result)) say(line);
if (values.write) await writeProof(result);
process.exit(result.reports.some((report) => report.violations.length > 0) ? 1 : 0);
