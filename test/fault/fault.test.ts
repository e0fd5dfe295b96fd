import { expect, it } from "vitest";
import { campaign, describeFailure } from "./campaign.ts";
import { figures } from "./proof.ts";

const RUNS = 8;
/** Another seed each day; it is printed, and `npm run test:fault -- --seed` repeats it. */
const SEED = Math.floor(Date.now() / 86_400_000) * 1_000;
const TIME_LIMIT_MS = 180_000;

it("admits, keeps and counts exactly while its parts are killed", { timeout: TIME_LIMIT_MS }, async () => {
  process.stdout.write(`fault: seed ${SEED}, ${RUNS} runs\n`);
  const result = await campaign({ runs: RUNS, seed: SEED });
  for (const line of figures(result)) process.stdout.write(`${line}\n`);
  expect(result.reports).toHaveLength(RUNS);
  expect(result.reports.filter((report) => report.violations.length > 0).map(describeFailure)).toEqual([]);
});
