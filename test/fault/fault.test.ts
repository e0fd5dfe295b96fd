import { expect, it } from "vitest";
import { campaign, describeFailure } from "./campaign.ts";
import { figures } from "./proof.ts";

const RUNS = 8;
/** A change is held against the same faults as the one before it; other seeds are for `npm run test:fault`. */
const SEED = 1;
const TIME_LIMIT_MS = 180_000;

it("admits, keeps and counts exactly while its parts are killed", { timeout: TIME_LIMIT_MS }, async () => {
  process.stdout.write(`fault: seed ${SEED}, ${RUNS} runs\n`);
  const result = await campaign({ runs: RUNS, seed: SEED });
  for (const line of figures(result)) process.stdout.write(`${line}\n`);
  expect(result.reports).toHaveLength(RUNS);
  expect(result.reports.filter((report) => report.violations.length > 0).map(describeFailure)).toEqual([]);
});
