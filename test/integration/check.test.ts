import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { ManualClock } from "../../src/kernel/clock.ts";
import { createTestStack, type TestStack } from "../support/stack.ts";

const NOON = "2026-11-21T12:00:00.000Z";

let stack: TestStack;
let engine: Engine;
const clock = new ManualClock(NOON);

beforeAll(async () => {
  stack = await createTestStack();
  engine = await createEngine({ ...stack, redisPrefix: stack.keyPrefix, clock, onTrouble: (e) => console.error(e) });
});

afterAll(async () => {
  await engine.close();
  await stack.stop();
});

let accounts = 0;
async function newAccount(plan = "free"): Promise<string> {
  const account = `acct_check_${++accounts}`;
  await engine.limits.putAccount(account, { plan }, clock.now());
  return account;
}

const consume = (account: string, usage: Record<string, number>) => engine.gate.check({ account, service: "s", namespace: "Room", usage }, clock.now());

describe("check", () => {
  it("counts what it allows and shows the state after it", async () => {
    const account = await newAccount();
    const decision = await consume(account, { state_requests: 1, state_sqlite_rows_written: 1 });
    expect(decision.allowed).toBe(true);
    expect(decision.meters["state_requests"]).toEqual({
      period: "day", used: 1, reserved: 0, limit: 100_000, remaining: 99_999, resetsAt: "2026-11-22T00:00:00.000Z",
    });
  });

  it("admits exactly up to a cap, from 2,000 at once", async () => {
    const account = await newAccount("pro");
    await engine.limits.setCap(account, "state_requests", { period: "month", capValue: 1_000, hardStop: true, notifyAtPercent: 80 }, clock.now());
    const decisions = await Promise.all(Array.from({ length: 2_000 }, () => consume(account, { state_requests: 1 })));
    expect(decisions.filter((d) => d.allowed)).toHaveLength(1_000);
    const { denials } = decisions.find((d) => !d.allowed) ?? { denials: [] };
    expect(denials).toHaveLength(1);
    expect(denials[0]).toMatchObject({ source: "cap", period: "month", limit: 1_000, used: 1_000, requested: 1, retryable: true, resetsAt: "2026-12-01T00:00:00.000Z" });
    await engine.rollUp();
    const usage = await engine.usage(account);
    expect(usage.usage.meters.month["state_requests"]).toBe(1_000);
  });
});
