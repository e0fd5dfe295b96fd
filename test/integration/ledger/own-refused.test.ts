import { sql } from "kysely";
import { expect, it } from "vitest";
import { openTestEngine } from "../../support/engine.ts";

it("an account whose copies the ledger refuses keeps no other from being loaded when Redis is lost", async () => {
  const t = await openTestEngine();
  try {
    const [sick, well] = [await t.newAccount(), await t.newAccount()];
    for (const account of [sick, well]) await t.check({ account, usage: { log_events: 3 } });
    await sql`alter table usage_buckets add constraint no_sick check (account <> ${sql.lit(sick)})`.execute(t.engine.db);
    await t.stack.loseRedis();
    expect(await t.check({ account: well, usage: { log_events: 4 } })).toMatchObject({ allowed: true });
    await expect(t.engine.bookOwn()).rejects.toMatchObject({ code: "23514" });
    expect((await t.engine.usage(well)).usage.meters.day["log_events"]).toBe(7);
    // Nothing of what was refused is forgotten: once it is taken, it counts.
    await sql`alter table usage_buckets drop constraint no_sick`.execute(t.engine.db);
    await t.engine.bookOwn();
    expect((await t.engine.usage(sick)).usage.meters.day["log_events"]).toBe(3);
  } finally {
    await t.stop();
  }
});
