import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestStack, type TestStack } from "../support/stack.ts";
import { fuzz } from "./campaign.ts";
import { Digester } from "./digest.ts";
import { rawCases } from "./raw-cases.ts";
import { HONEST_ACCOUNT, Stage } from "./stage.ts";

/** Another seed each day; it is printed, and `npm run test:fuzz -- --seed` repeats it. */
const SEED = Math.floor(Date.now() / 86_400_000) * 1_000;
const REQUESTS = 400;
/** What is asked here is what happens, not how soon: other test files run beside this one. */
const PATIENCE_MS = 20_000;

let stack: TestStack;
let stage: Stage;
let digester: Digester;
beforeAll(async () => {
  stack = await createTestStack();
  const dataDir = join(stack.dataDir, "weir");
  const stores = { databaseUrl: stack.databaseUrl, redisUrl: stack.redisServer };
  stage = await Stage.open({ ...stores, dataDir, parties: 1 });
  digester = new Digester({ ...stores, stateDir: join(dataDir, "state"), others: [HONEST_ACCOUNT] });
});
afterAll(async () => {
  await stage.stop();
  await digester.close();
  await stack.stop();
});

it("answers hostile requests with refusals that change nothing", async () => {
  const said = [`seed ${SEED}`];
  const result = await fuzz({
    stage,
    digester,
    honest: null,
    runs: REQUESTS,
    seed: SEED,
    hangMs: PATIENCE_MS,
    say: (line) => said.push(line),
  });
  expect({ ...result, running: stage.running }, said.join("\n")).toMatchObject({ faults: 0, unprovedRefusals: 0, running: true });
  expect(result.provedRefusals).toBeGreaterThan(0);
});

it("finds nothing hidden in a request whose end is unclear", async () => {
  const [party] = stage.parties;
  if (!party) throw new Error("no party");
  const before = await digester.take();
  const found = [];
  for (const { name, run } of rawCases({ url: stage.url, adminKey: stage.adminKey, party, hangMs: PATIENCE_MS })) {
    const fault = await run();
    if (fault !== null) found.push(`${name}: ${fault}`);
  }
  expect(found).toEqual([]);
  expect(await digester.take()).toEqual(before);
});
