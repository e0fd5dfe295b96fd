import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestStack, type TestStack } from "../support/stack.ts";
import { checkModel } from "./property.ts";
import { System } from "./system.ts";

/** Another seed each day; it is printed, and `npm run test:model -- --seed` repeats it. */
const SEED = Math.floor(Date.now() / 86_400_000);
const RUNS = 15;
const TIME_LIMIT_MS = 120_000;

let stack: TestStack;
let system: System;

beforeAll(async () => {
  stack = await createTestStack();
  system = await System.open({ ...stack, redisUrl: stack.redisServer });
});

afterAll(async () => {
  await system.close();
  await stack.stop();
});

it("does what the model says, whatever happens in between", { timeout: TIME_LIMIT_MS }, async () => {
  process.stdout.write(`model: seed ${SEED}, ${RUNS} runs\n`);
  await expect(checkModel(system, { seed: SEED, runs: RUNS })).resolves.toBeUndefined();
});
