import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Engine } from "../../../src/engine.ts";
import { DAY_MS, dayWindow } from "../../../src/kernel/window.ts";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";
/** Accounts that are stopped and let go on side by side. */
const ACCOUNTS = 10;
const DAYS = 60;
const FREE_A_DAY = 100_000;

let t: TestEngine;
/** Another process' engine: it hears of a change by Redis alone. */
let other: Engine;
beforeAll(async () => {
  t = await openTestEngine();
  other = await t.another();
});
afterAll(() => t.stop());

const use = async (engine: Engine, account: string, n = 1): Promise<boolean> =>
  (await engine.gate.check({ account, usage: { [METER]: n } }, t.clock.now())).allowed;

type Step = (account: string) => Promise<unknown>;

/**
 * Stops accounts and lets them go on, again and again: what the other process' first check said after each of the two had been answered.
 */
async function rounds(count: number, plan: string, stop: Step, letGoOn: Step) {
  const accounts = await Promise.all(Array.from({ length: ACCOUNTS }, () => t.newAccount(plan)));
  const answers = await Promise.all(
    accounts.map(async (account) => {
      const seen: [stopped: boolean, passed: boolean][] = [];
      for (let round = 0; round < count; round++) {
        await stop(account);
        const stopped = !(await use(other, account));
        await letGoOn(account);
        seen.push([stopped, await use(other, account)]);
      }
      return seen;
    }),
  );
  return answers.flat();
}

it.each<[times: number, when: string, plan: string, stop: Step, letGoOn: Step]>([
  [200, "a cap is raised", "pro", (a) => t.cap(a, METER, "day", 0), (a) => t.cap(a, METER, "day", 1_000)],
  [50, "a cap is removed", "pro", (a) => t.cap(a, METER, "month", 0), (a) => t.engine.limits.removeCap(a, METER, "month", t.clock.now())],
  [
    50,
    "a plan is upgraded",
    "pro",
    async (a) => {
      await use(t.engine, a, FREE_A_DAY);
      await t.engine.limits.changePlan(a, "free", "now", t.clock.now());
    },
    (a) => t.engine.limits.changePlan(a, "pro", "now", t.clock.now()),
  ],
])(
  "%i times, when %s, the very next check of another process knows, and when it is taken back",
  async (times, _when, plan, stop, letGoOn) => {
    expect(await rounds(times / ACCOUNTS, plan, stop, letGoOn)).toEqual(Array.from({ length: times }, () => [true, true]));
  },
);

it("a new window lets the first check of any process pass, and no check a millisecond before", async () => {
  const account = await t.newAccount("pro");
  await t.cap(account, METER, "day", 1);
  await use(other, account);
  for (let day = 0; day < DAYS; day++) {
    const { end } = dayWindow(t.clock.now());
    t.clock.set(end - 1);
    expect(await use(other, account)).toBe(false);
    t.clock.set(end);
    expect(await use(day % 2 === 0 ? other : t.engine, account)).toBe(true);
    t.clock.advance(DAY_MS / 2);
  }
});

it("has budget granted by the time the change is answered, where the account was in use, and none where it was not", async () => {
  const [used, idle] = [await t.newAccount("pro"), await t.newAccount("pro")];
  await use(other, used, 7);
  for (const account of [used, idle]) await t.cap(account, METER, "day", 0);
  for (const account of [used, idle]) expect(await use(other, account)).toBe(false);
  for (const account of [used, idle]) await t.cap(account, METER, "day", 1_000);
  const granted = async (account: string): Promise<number> => {
    const { rows } = await sql<{ sum: string }>`
      select coalesce(sum(granted), 0)::text as sum from grants
      where account = ${account} and meter = ${METER} and period = 'day'`.execute(t.engine.db);
    return Number(rows[0]?.sum);
  };
  expect(await granted(used)).toBeGreaterThan(7);
  expect(await granted(idle)).toBe(0);
});
