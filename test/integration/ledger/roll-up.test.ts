import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { ManualClock } from "../../../src/kernel/clock.ts";
import { HOUR_MS } from "../../../src/kernel/window.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

let stack: TestStack;
let engine: Engine;
const clock = new ManualClock("2026-11-21T09:30:00.000Z");

beforeAll(async () => {
  stack = await createTestStack();
  engine = await createEngine({
    databaseUrl: stack.databaseUrl,
    redisUrl: stack.redisServer,
    redisPrefix: stack.keyPrefix,
    clock,
    redisTimeoutMs: 5_000,
  });
});
afterAll(async () => {
  await engine.close();
  await stack.stop();
});

/** What is booked of each account, by receiving hour. */
async function booked(): Promise<Map<string, number[]>> {
  const { rows } = await sql<{ account: string; quantities: string[] }>`
    select account, array_agg(quantity::text order by bucket) as quantities
    from (select account, bucket, sum(quantity) as quantity from usage_buckets where meter = 'state_requests' group by 1, 2) hours
    group by account`.execute(engine.db);
  return new Map(rows.map(({ account, quantities }) => [account, quantities.map(Number)]));
}

it("books accounts of any hours, and of any number of objects, in one go, whatever stands beside them in a call", async () => {
  const accounts = Array.from({ length: 70 }, (_, i) => `acct_rolled_${i}`);
  for (const account of accounts) await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
  const use = (account: string, quantity: number) => engine.gate.check({ account, usage: { state_requests: quantity } }, clock.now());
  // Every third account is used in one hour, in the next, or in both.
  for (const [i, account] of accounts.entries()) if (i % 3 !== 1) await use(account, 1 + i);
  clock.advance(HOUR_MS);
  for (const [i, account] of accounts.entries()) if (i % 3 !== 0) await use(account, 1_000 + i);
  // More than one call reads.
  const objects = Array.from({ length: 2_500 }, (_, i) => `o${i}`);
  for (const account of accounts.slice(0, 2)) {
    await Promise.all(
      objects.map((object) =>
        engine.gate.check({ account, service: "s", namespace: "Room", object, storageBytes: { set: 7 } }, clock.now()),
      ),
    );
  }

  let rows = 0;
  for (let runs = 0; runs < 8; runs++) {
    const report = await engine.rollUp();
    expect(report.fault).toBeNull();
    rows += report.rows;
    if (report.accounts === 0) break;
  }

  const expected = accounts.map((account, i) => [account, [...(i % 3 !== 1 ? [1 + i] : []), ...(i % 3 !== 0 ? [1_000 + i] : [])]] as const);
  expect(await booked()).toEqual(new Map(expected));
  const levels = await sql<{ n: number }>`select count(*)::int as n from object_levels where bytes = 7`.execute(engine.db);
  expect(levels.rows).toEqual([{ n: 5_000 }]);
  expect(rows).toBeGreaterThanOrEqual(5_000 + expected.flatMap(([, hours]) => hours).length);
});

it("books all of more changed objects than Redis looks for in one go, once those it finds first are booked", async () => {
  const [account, count] = ["acct_many_changes", 40_000];
  await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
  const place = { account, service: "s", namespace: "Room", storageBytes: { set: 9 } };
  for (let i = 0; i < count; i += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, k) => engine.gate.check({ ...place, object: `o${i + k}` }, clock.now())));
  }

  // Of a hash that is emptied from its beginning, the beginning has nothing any more.
  for (let runs = 0; runs < 30 && (await engine.rollUp()).accounts > 0; runs++);

  expect((await engine.readiness()).redis).toMatchObject({ dirtyAccounts: 0 });
  const levels = await sql<{ n: number }>`select count(*)::int as n from object_levels where bytes = 9`.execute(engine.db);
  expect(levels.rows).toEqual([{ n: count }]);
});

it("what it has booked, the process that counted it does not book again", async () => {
  const account = "acct_booked_once";
  await engine.limits.putAccount(account, { plan: "pro" }, clock.now());
  const use = (more = {}) => engine.gate.check({ account, usage: { state_requests: 2 }, ...more }, clock.now());
  // A row that is booked again is locked at least, and says by whom.
  const row = async () =>
    (await sql<{ xmax: string; quantity: string }>`select xmax, quantity from usage_buckets where account = ${account}`.execute(engine.db))
      .rows;
  await use({ idempotencyKey: "k" });
  await engine.rollUp();
  expect(await row()).toEqual([{ xmax: "0", quantity: 2n }]);
  await engine.bookOwn();
  expect(await row()).toEqual([{ xmax: "0", quantity: 2n }]);
  // What it has counted since, it books.
  await use();
  await engine.bookOwn();
  expect(await row()).toEqual([{ xmax: expect.anything(), quantity: 4n }]);
});
