import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../support/app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const ready = () => t.send("GET", "/ready", { key: null });

it("names what readiness hangs on, and how far behind the roll-up is", async () => {
  await t.check({ account: await t.newAccount(), usage: { state_requests: 1 } });
  expect(await t.engine.readiness()).toMatchObject({ redis: { dirtyAccounts: 1 } });
  await t.engine.rollUp();
  t.clock.advance(1_500);
  expect(await ready()).toMatchObject({
    status: 200,
    body: {
      ready: true,
      postgres: { ok: true, note: null },
      redis: { ok: true },
      migrations: { ok: true, note: null },
      rollup: { dirtyAccounts: 0, lagMs: 1_500 },
    },
  });
});

it("is not ready on a schema that is behind", async () => {
  await sql`delete from weir_migrations where name like '0001%'`.execute(t.engine.db);
  expect(await t.engine.readiness()).toMatchObject({
    ready: false,
    postgres: { pendingMigrations: [expect.stringMatching(/^0001/) as string] },
  });
});
