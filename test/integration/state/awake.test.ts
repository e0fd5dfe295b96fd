import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { operationUsage } from "../../../src/catalog/operation.ts";
import { admitBy, holdsBy } from "../../../src/state/admit-by-gate.ts";
import { Awake, type Stay } from "../../../src/state/awake.ts";
import type { StateContext } from "../../../src/state/context.ts";
import { ObjectFiles } from "../../../src/state/object-files.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_duration_gb_milliseconds";
const STEPS = 60;

let t: TestEngine;
const troubles: unknown[] = [];
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(async () => {
  await t.stop();
  expect(troubles).toEqual([]);
});

/** Small and repeatable; what it is good for is only to differ. */
function* dice(seed: number): Generator<number, never> {
  for (let n = seed; ;) {
    n = (n * 48_271) % 2_147_483_647;
    yield n / 2_147_483_647;
  }
}

function awakeObjects() {
  const context: StateContext = {
    files: new ObjectFiles(join(t.stack.dataDir, "awake")),
    clock: t.clock,
    admit: admitBy(t.engine.gate),
    holds: holdsBy(t.engine.gate),
    usageOf: (operation, facts) => operationUsage(t.engine.catalog, operation, facts),
    onTrouble: (error) => troubles.push(error),
  };
  return new Awake(context);
}

const addressOf = (account: string, object: string) => ({
  namespace: { account, number: 1, service: "service_1", name: "Room", createdAt: 0 },
  object,
});

async function used(account: string): Promise<{ used: number; reserved: number }> {
  const { meters } = await t.engine.usage(account);
  const found = meters.find(({ meter, period }) => meter === METER && period === "month");
  return { used: found?.used ?? 0, reserved: found?.reserved ?? 0 };
}

test.each([1, 2, 3, 4, 5])(
  "sockets and handlers that come and go in any order count each object's time once, to the millisecond (%i)",
  async (seed) => {
    const roll = dice(seed);
    const account = await t.newAccount("pro");
    const awake = awakeObjects();
    const stays = new Map<string, Stay[]>([
      ["a", []],
      ["b", []],
    ]);
    const since = new Map<string, number>();
    let expected = 0;
    for (let step = 0; step < STEPS; step += 1) {
      const object = roll.next().value < 0.5 ? "a" : "b";
      const here = stays.get(object) ?? [];
      const chance = roll.next().value;
      if (chance < 0.4) {
        if (here.length === 0) since.set(object, t.clock.now());
        here.push(await awake.enter(addressOf(account, object), (reason) => troubles.push(reason)));
      } else if (chance < 0.7) {
        await here.pop()?.leave();
        const from = since.get(object);
        if (here.length === 0 && from !== undefined) {
          expected += Math.ceil(((t.clock.now() - from) * 128) / 1_000);
          since.delete(object);
        }
      } else {
        t.clock.advance(Math.floor(roll.next().value * 25_000));
        awake.tick();
        if (chance > 0.9) await awake.settle();
      }
    }
    for (const from of since.values()) expected += Math.ceil(((t.clock.now() - from) * 128) / 1_000);
    await awake.close();
    expect(expected).toBeGreaterThan(1_000);
    expect(await used(account)).toEqual({ used: expected, reserved: 0 });
  },
);

test.each([1, 2, 3])("a limit ends every stay and is not passed, however time runs (%i)", async (seed) => {
  const roll = dice(seed + 100);
  const account = await t.newAccount("pro");
  await t.cap(account, METER, "month", 10_000);
  const awake = awakeObjects();
  const ended = new Set<string>();
  for (const object of ["a", "b", "c"]) await awake.enter(addressOf(account, object), () => ended.add(object));
  for (let step = 0; ended.size < 3; step += 1) {
    expect(step).toBeLessThan(500);
    t.clock.advance(Math.floor(roll.next().value * 3_000));
    awake.tick();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { used: sum, reserved } = await used(account);
    expect(sum + reserved).toBeLessThanOrEqual(10_000);
  }
  await awake.close();
  expect(await used(account)).toEqual({ used: 10_000, reserved: 0 });
  await expect(awake.enter(addressOf(account, "d"), () => undefined)).rejects.toMatchObject({ code: "limit_exceeded" });
  await awake.close();
  expect(await used(account)).toEqual({ used: 10_000, reserved: 0 });
});
