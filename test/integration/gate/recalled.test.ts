import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import type { CheckRequest } from "../../../src/gate/check-request.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

const METER = "state_requests";
/** Checks under way at any moment, so that each call on the process meets some. */
const CALLERS = 8;

let stack: TestStack;
let engine: Engine;
let account: string;
let accounts = 0;
const clock = new ManualClock("2026-11-21T12:30:00.000Z");

beforeAll(async () => {
  stack = await createTestStack();
  engine = await createEngine({ ...stack, redisPrefix: stack.keyPrefix, clock, redisTimeoutMs: 5_000 });
});
afterAll(async () => {
  await engine.close();
  await stack.stop();
});
beforeEach(async () => {
  account = `acct_${++accounts}`;
  await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
});

/** One unit, whichever way it goes. */
const CHECKS: Readonly<Record<string, (n: number) => Promise<unknown>>> = {
  "checks that only count": () => check({}),
  "checks with a key": (n) => check({ idempotencyKey: `key-${n}` }),
  "checks that store": (n) => check({ service: "s", namespace: "n", object: `o-${n % 4}`, storageBytes: { set: 10 } }),
};

const check = (more: Partial<CheckRequest>) => engine.gate.check({ account, usage: { [METER]: 1 }, ...more }, clock.now());

const used = async (): Promise<unknown> => (await engine.usage(account)).meters.find(({ meter }) => meter === METER)?.used;

/** Has callers ask one after the other until `change` has happened; answers how many were served, and what the others got. */
async function during(
  ask: (n: number) => Promise<unknown>,
  change: () => Promise<unknown>,
): Promise<{ served: number; failures: string[] }> {
  let [asked, served, over] = [0, 0, false];
  const failures: string[] = [];
  const callers = Array.from({ length: CALLERS }, async () => {
    while (!over) {
      await ask(++asked).then(
        () => (served += 1),
        (error: unknown) => failures.push(String(error)),
      );
      await setImmediate();
    }
  });
  await change().finally(() => (over = true));
  await Promise.all(callers);
  return { served, failures };
}

/** Expects that every call of `ask` is served while `change` happens, and counted once. */
async function expectServed(ask: (n: number) => Promise<unknown>, change: () => Promise<unknown>): Promise<void> {
  await check({});
  const { served, failures } = await during(ask, change);
  expect(failures).toEqual([]);
  await engine.bookOwn();
  await engine.rollUp();
  expect(await used()).toBe(served + 1);
}

const reclaimTwice = async (): Promise<void> => {
  for (let time = 0; time < 2; time++) await engine.reclaim(account);
};

it.each(Object.entries(CHECKS))("%s are answered while an account is reclaimed and its calendar moves", async (_, ask) => {
  await expectServed(ask, async () => {
    await reclaimTwice();
    for (const billingAnchorDay of [3, 17]) await engine.limits.putAccount(account, { billingAnchorDay }, clock.now());
  });
});

// What a moved calendar's old windows hold is let go: that is told as expired.
it("reservations are made and settled while an account is reclaimed", async () => {
  await expectServed(async () => {
    const { reservation } = await check({ mode: "reserve" });
    await engine.gate.settle(reservation?.id ?? "", {}, clock.now());
  }, reclaimTwice);
});
