import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestEngine, type TestEngine } from "../../support/engine.ts";

const METER = "state_requests";

let t: TestEngine;
beforeAll(async () => {
  t = await openTestEngine();
});
afterAll(() => t.stop());

const consume = (account: string, quantity: number) => t.check({ account, service: "s", namespace: "Room", usage: { [METER]: quantity } });

async function projected(account: string, meter = METER): Promise<string | null | undefined> {
  await t.engine.rollUp();
  return (await t.engine.usage(account)).meters.find((m) => m.meter === meter)?.projectedExhaustionAt;
}

it("goes by the booked usage of the last hour, not by the window's average", async () => {
  t.clock.set("2026-11-20T10:00:00Z");
  const account = await t.newAccount();
  await t.cap(account, METER, "day", 1_000);
  expect(await projected(account)).toBeNull();
  t.clock.set("2026-11-21T01:10:00Z");
  await consume(account, 500);
  t.clock.set("2026-11-21T12:00:00Z");
  expect(await projected(account)).toBeNull();
  await consume(account, 100);
  // 100 in the last hour, 400 left.
  t.clock.set("2026-11-21T12:30:00Z");
  expect(await projected(account)).toBe("2026-11-21T16:30:00.000Z");
  // A quarter of what the hour from 12:00 on had lies more than an hour back: 75 in the hour, 400 left.
  t.clock.set("2026-11-21T13:15:00Z");
  expect(await projected(account)).toBe("2026-11-21T18:35:00.000Z");
  await consume(account, 400);
  expect(await projected(account)).toBeNull();
  // The new day has used nothing yet.
  t.clock.set("2026-11-22T00:00:00Z");
  expect(await projected(account)).toBeNull();
  await consume(account, 100);
  t.clock.set("2026-11-22T00:10:00Z");
  expect(await projected(account)).toBe("2026-11-22T01:40:00.000Z");
});

it("is null where the window ends first, where nothing limits, and for gauges", async () => {
  t.clock.set("2026-11-23T22:00:00Z");
  const account = await t.newAccount();
  t.clock.set("2026-11-23T23:00:00Z");
  await t.check({ account, service: "s", namespace: "Room", object: "o", usage: { [METER]: 100 }, storageBytes: { set: 900 } });
  expect(await projected(account)).toBeNull();
  await t.cap(account, METER, "day", 201);
  await t.cap(account, "state_sqlite_storage_bytes", "day", 1_000);
  // An hour more of this reaches 200 at midnight.
  expect(await projected(account)).toBeNull();
  expect(await projected(account, "state_sqlite_storage_bytes")).toBeNull();
  await t.cap(account, METER, "day", 199);
  expect(await projected(account)).toBe("2026-11-23T23:59:24.000Z");
});
