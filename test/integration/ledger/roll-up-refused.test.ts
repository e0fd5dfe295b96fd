import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { openTestEngine } from "../../support/engine.ts";

it("an account whose totals the ledger refuses keeps no other from being booked", async () => {
  const t = await openTestEngine();
  const redis = new Redis(t.stack.redisServer, { protocol: 2 });
  try {
    const accounts = [];
    for (let i = 0; i < 5; i++) {
      const account = await t.newAccount();
      await t.check({ account, usage: { log_events: 3 } });
      accounts.push(account);
    }
    const [sick = ""] = accounts;
    const [totals = ""] = await redis.keys(`*:t:${sick}:*`);
    const [field = ""] = await redis.hkeys(totals);
    // Beyond what a quantity may be: no operation counts so far, but a store may be damaged.
    await redis.hset(totals, field, "9007199254740993");
    await expect(t.engine.rollUp()).rejects.toMatchObject({ code: "23514" });
    const booked = await t.engine.db.selectFrom("usage_buckets").select("account").distinct().execute();
    expect(booked.map(({ account }) => account).toSorted()).toEqual(accounts.slice(1));
  } finally {
    redis.disconnect();
    await t.stop();
  }
});
