import { sql } from "kysely";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

let t: TestEngine;
let other: postgres.Sql;
beforeAll(async () => {
  t = await openTestEngine();
  other = postgres(t.stack.databaseUrl, { max: 1 });
});
afterAll(async () => {
  await other.end();
  await t.stop();
});

/** Each pooled connection may find out for itself that its backend is gone: a call that is told so is sent again. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0 || (error as { code?: string }).code !== "unavailable") throw error;
    }
  }
}

const endBackends = () =>
  other`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = 'weir'`;

describe("a Postgres backend that dies", () => {
  it("fails what it was doing as unavailable, and nothing after it", async () => {
    const slow = t.engine.db.executeQuery(sql`select pg_sleep(5)`.compile(t.engine.db)).then(
      () => "done",
      () => "failed",
    );
    await expect
      .poll(async () => (await other`select 1 from pg_stat_activity where query like '%pg_sleep(5)%' and pid <> pg_backend_pid()`).length)
      .toBe(1);
    await endBackends();
    expect(await slow).toBe("failed");
    for (let round = 0; round < 5; round++) {
      const account = await insist(() => t.newAccount());
      const check = { account, usage: { state_requests: 3 }, idempotencyKey: "once" };
      expect((await insist(() => t.check(check))).allowed).toBe(true);
      await endBackends();
      await insist(() => t.engine.rollUp());
      expect((await insist(() => t.engine.usage(account))).usage.meters.day["state_requests"]).toBe(3);
    }
  });

  it("is never asked for a transaction: the driver could lose half of one", async () => {
    await expect(t.engine.db.transaction().execute(async () => {})).rejects.toThrow("one statement");
  });
});

it("a statement that Postgres gives up to end a deadlock is sent again", async () => {
  const [first, second] = [await t.newAccount(), await t.newAccount()];
  const emailed = (account: string, by: string): string => `update accounts set email = '${by}@example.com' where account = '${account}';`;
  const blocked = postgres(t.stack.databaseUrl, { max: 1 });
  let ours: Promise<unknown> = Promise.resolve();
  try {
    await blocked.begin(async (theirs) => {
      await theirs.unsafe(emailed(second, "theirs"));
      const statement = sql.raw(`do $$ begin ${emailed(first, "ours")} ${emailed(second, "ours")} end $$`);
      ours = statement.execute(t.engine.db);
      ours.catch(() => {});
      const waiting = () => other`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await expect.poll(async () => (await waiting()).length).toBe(1);
      // Ours has waited longer, so it is ours that Postgres finds in a deadlock.
      await theirs.unsafe(emailed(first, "theirs"));
    });
    await ours;
  } finally {
    await blocked.end();
  }
  const rows = await t.engine.db.selectFrom("accounts").select("email").where("account", "in", [first, second]).execute();
  expect(rows).toEqual([{ email: "ours@example.com" }, { email: "ours@example.com" }]);
});
