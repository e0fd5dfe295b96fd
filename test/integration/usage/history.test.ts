import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DAY_MS, HOUR_MS, iso, monthWindow } from "../../../src/kernel/window.ts";
import { ensurePartitions } from "../../../src/ledger/ledger-store.ts";
import { loadQuery, runQuery } from "../../../src/stores/database.ts";
import { entryParameters, usageHistory } from "../../../src/usage/history-store.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";

const METER = "state_requests";
const STORAGE = "state_sqlite_storage_bytes";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

type Point = { start: string; quantity: number; group?: string };

const get = (account: string, query: string, headers: Record<string, string> = {}) =>
  t.app.inject({
    method: "GET",
    url: `/v1/usage/history?${query}`,
    headers: { authorization: `Bearer ${ADMIN_KEY}`, "weir-account": account, ...headers },
  });

/** Points as [start without seconds, quantity, group]. */
async function series(account: string, query: string): Promise<(string | number)[][]> {
  const answer = await get(account, query);
  expect(answer.statusCode).toBe(200);
  const points = answer.json<{ series: Point[] }>().series;
  return points.map(({ start, quantity, group }) => [start.slice(0, 16), quantity, ...(group === undefined ? [] : [group])]);
}

async function consumeAt(account: string, at: string, quantity: number, place = { service: "s", namespace: "Room" }): Promise<void> {
  t.clock.set(at);
  expect(await t.check({ account, ...place, usage: { [METER]: quantity } })).toMatchObject({ allowed: true });
}

async function storeAt(account: string, at: string, object: string, bytes: number): Promise<void> {
  t.clock.set(at);
  expect(await t.check({ account, service: "s", namespace: "Room", object, storageBytes: { set: bytes } })).toMatchObject({
    allowed: true,
  });
}

describe("a counter", () => {
  it("stands in UTC hours and days, and in the account's billing months", async () => {
    t.clock.set("2026-09-01T00:00:00Z");
    const account = await t.newAccount();
    await t.engine.limits.putAccount(account, { billingAnchorDay: 31, timezone: "Asia/Kolkata" }, t.clock.now());
    // The billing month ends at 2026-10-30T18:30Z, inside an hour.
    await consumeAt(account, "2026-10-30T18:29:59.999Z", 1);
    const ended = (await t.engine.usage(account)).usage.meters.month[METER];
    await consumeAt(account, "2026-10-30T18:30:00.000Z", 2);
    await consumeAt(account, "2026-10-30T23:59:59.999Z", 4);
    await consumeAt(account, "2026-10-31T00:00:00.000Z", 8);
    await t.engine.rollUp();
    const range = "from=2026-10-30T18:00:00Z&to=2026-10-31T01:00:00Z";
    expect(await series(account, `meter=${METER}&granularity=hour&${range}`)).toEqual([
      ["2026-10-30T18:00", 3],
      ["2026-10-30T23:00", 4],
      ["2026-10-31T00:00", 8],
    ]);
    expect(await series(account, `meter=${METER}&granularity=day&${range}`)).toEqual([
      ["2026-10-30T00:00", 7],
      ["2026-10-31T00:00", 8],
    ]);
    expect(await series(account, `meter=${METER}&granularity=month&${range}`)).toEqual([
      ["2026-09-29T18:30", 1],
      ["2026-10-30T18:30", 14],
    ]);
    expect([ended, (await t.engine.usage(account)).usage.meters.month[METER]]).toEqual([1, 14]);
  });

  it("has corrections in the span of their instant, in no group, below 0 too", async () => {
    t.clock.set("2026-11-02T10:00:00Z");
    const account = await t.newAccount();
    await consumeAt(account, "2026-11-02T10:10:00Z", 100, { service: "a", namespace: "Room" });
    await consumeAt(account, "2026-11-02T10:20:00Z", 10, { service: "b", namespace: "Room" });
    await consumeAt(account, "2026-11-02T10:30:00Z", 1, { service: "b", namespace: "Lobby" });
    await t.engine.rollUp();
    t.clock.set("2026-11-02T11:00:00Z");
    const correct = (quantity: number, at: string) =>
      t.engine.correct(account, { meter: METER, quantity, at, reason: "a test", idempotencyKey: at }, "key");
    await correct(-30, "2026-11-02T10:59:59.999Z");
    await correct(-5, "2026-11-02T09:59:59.999Z");
    const hour = `meter=${METER}&granularity=hour&from=2026-11-02T09:00:00Z&to=2026-11-02T11:00:00Z`;
    expect(await series(account, hour)).toEqual([
      ["2026-11-02T09:00", -5],
      ["2026-11-02T10:00", 81],
    ]);
    expect(await series(account, `${hour}&groupBy=service`)).toEqual([
      ["2026-11-02T09:00", -5, ""],
      ["2026-11-02T10:00", -30, ""],
      ["2026-11-02T10:00", 100, "a"],
      ["2026-11-02T10:00", 11, "b"],
    ]);
    expect(await series(account, `${hour}&groupBy=namespace`)).toContainEqual(["2026-11-02T10:00", 110, "Room"]);
    expect(await series(account, `meter=${METER}&granularity=month`)).toEqual([["2026-11-01T00:00", 76]]);
  });

  it("is added up here or, where there are more entries, by Postgres, to the same series", async () => {
    t.clock.set("2026-11-02T20:00:00Z");
    const account = await t.newAccount();
    const calendar = { anchorDay: 31, timezone: "Asia/Kolkata" };
    await t.engine.limits.putAccount(account, { billingAnchorDay: calendar.anchorDay, timezone: calendar.timezone }, t.clock.now());
    const places = ["b", "a"].flatMap((service) => ["Room", "Lobby"].map((namespace) => ({ service, namespace })));
    for (const [i, at] of ["2026-11-02T21:00:00Z", "2026-11-02T21:59:59Z", "2026-11-02T23:00:00Z"].entries())
      for (const place of places) await consumeAt(account, at, 10 ** i, place);
    const other = await t.another();
    await other.gate.check({ account, service: "a", namespace: "Room", usage: { [METER]: 7_000 } }, t.clock.now());
    await t.engine.rollUp();
    await t.engine.correct(
      account,
      { meter: METER, quantity: -50_000, at: "2026-11-02T21:30:00Z", reason: "a test", idempotencyKey: "c" },
      "key",
    );
    const stretch = { start: Date.parse("2026-11-02T20:30:00Z"), end: Date.parse("2026-11-03T00:00:00Z") };
    for (const granularity of ["hour", "day", "month"] as const) {
      for (const groupBy of [null, "service", "namespace"] as const) {
        const query = { account, meter: METER, granularity, stretch, calendar };
        const here = await usageHistory(t.engine.db, query, groupBy);
        expect(here.length).toBeGreaterThan(0);
        expect(await usageHistory(t.engine.db, query, groupBy, 0)).toEqual(here);
      }
    }
    const total = await usageHistory(t.engine.db, { account, meter: METER, granularity: "day", stretch, calendar }, null);
    expect(total).toEqual([{ start: Date.parse("2026-11-02T00:00:00Z"), quantity: 4 * 111 + 7_000 - 50_000 }]);
  });

  it("answers spans that the stretch only touches whole, and another account's not at all", async () => {
    t.clock.set("2026-11-03T10:00:00Z");
    const account = await t.newAccount();
    const other = await t.newAccount();
    await consumeAt(account, "2026-11-03T10:10:00Z", 5);
    await consumeAt(other, "2026-11-03T10:10:00Z", 7);
    await t.engine.rollUp();
    expect(await series(account, `meter=${METER}&from=2026-11-03T10:30:00Z&to=2026-11-03T10:31:00Z`)).toEqual([["2026-11-03T10:00", 5]]);
    expect(await series(account, `meter=${METER}&from=2026-11-03T11:00:00Z&to=2026-11-03T12:00:00Z`)).toEqual([]);
    expect(await series(account, `meter=${METER}&from=2026-11-03T10:00:00Z&to=2026-11-03T10:00:00Z`)).toEqual([]);
  });
});

describe("a gauge", () => {
  it("stands at its level at each span's end, carried on, and ends with the span under way", async () => {
    t.clock.set("2026-11-04T08:00:00Z");
    const account = await t.newAccount();
    await storeAt(account, "2026-11-04T09:10:00Z", "a", 500);
    await storeAt(account, "2026-11-04T09:50:00Z", "b", 300);
    await storeAt(account, "2026-11-04T12:00:00Z", "a", 0);
    await t.engine.rollUp();
    t.clock.set("2026-11-04T13:30:00Z");
    const stretch = "from=2026-11-04T08:00:00Z&to=2026-11-04T18:00:00Z";
    expect(await series(account, `meter=${STORAGE}&granularity=hour&${stretch}`)).toEqual([
      ["2026-11-04T09:00", 800],
      ["2026-11-04T10:00", 800],
      ["2026-11-04T11:00", 800],
      ["2026-11-04T12:00", 300],
      ["2026-11-04T13:00", 300],
    ]);
    const later = "from=2026-11-04T11:20:00Z&to=2026-11-04T11:30:00Z";
    expect(await series(account, `meter=${STORAGE}&granularity=hour&${later}`)).toEqual([["2026-11-04T11:00", 800]]);
    expect(await series(account, `meter=${STORAGE}&granularity=month&${stretch}`)).toEqual([["2026-11-01T00:00", 300]]);
  });

  it("has no groups", async () => {
    const account = await t.newAccount();
    const answer = await get(account, `meter=${STORAGE}&groupBy=service`);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([400, "validation_failed"]);
  });
});

describe("as CSV", () => {
  it.each([
    ["format=csv", {}, true],
    ["", { accept: "text/csv" }, true],
    ["", { accept: "text/csv;q=0.9, application/json;q=0.8" }, true],
    ["format=json", { accept: "text/csv" }, false],
    ["", { accept: "application/json, text/csv" }, false],
    ["", { accept: "*/*" }, false],
  ])("%j with %o", async (format, headers, csv) => {
    t.clock.set("2026-11-05T10:00:00Z");
    const account = await t.newAccount();
    await consumeAt(account, "2026-11-05T10:10:00Z", 5);
    await t.engine.rollUp();
    const answer = await get(account, `meter=${METER}&groupBy=service${format && `&${format}`}`, headers);
    expect(answer.headers["content-type"]).toBe(csv ? "text/csv; charset=utf-8" : "application/json; charset=utf-8");
    const asJson = '{"series":[{"start":"2026-11-05T10:00:00.000Z","quantity":5,"group":"s"}]}';
    expect(answer.body).toBe(csv ? "start,quantity,group\r\n2026-11-05T10:00:00.000Z,5,s\r\n" : asJson);
  });

  it("has no third column where nothing is grouped", async () => {
    const answer = await get(await t.newAccount(), `meter=${METER}&format=csv`);
    expect(answer.body).toBe("start,quantity\r\n");
  });
});

it.each([
  ["meter=nope", 404],
  ["", 400],
  [`meter=${METER}&granularity=week`, 400],
  [`meter=${METER}&from=2026-11-21`, 400],
  [`meter=${METER}&from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z`, 400],
  [`meter=${METER}&from=2025-10-01T00:00:00Z&to=2026-11-21T00:00:00Z`, 400],
  [`meter=${METER}&groupBy=object`, 400],
  [`meter=${METER}&format=xml`, 400],
])("%j is %i", async (query, status) => {
  expect((await get(await t.newAccount(), query)).statusCode).toBe(status);
});

it("reads a stretch of a meter through its index, of no other month and no other meter", async () => {
  const { db } = t.engine;
  const end = Date.parse("2026-08-01T00:00:00Z");
  const account = await t.newAccount();
  await ensurePartitions(
    db,
    Array.from({ length: 6 }, (_, i) => end - i * 30 * DAY_MS - HOUR_MS),
  );
  await sql`
    insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
    select a, h, m, 's', 'Room', 1, 'seed', 1
    from generate_series(${iso(end - 150 * DAY_MS)}::timestamptz, ${iso(end - HOUR_MS)}::timestamptz, interval '1 hour') h,
         unnest(array[${account}, 'x1', 'x2', 'x3']) a, unnest(array[${METER}, 'state_sqlite_rows_read', 'worker_requests']) m`.execute(db);
  await sql`analyze usage_buckets`.execute(db);
  const stretch = monthWindow(end - 1, { anchorDay: 1, timezone: "UTC" });
  const query = { account, meter: METER, granularity: "hour" as const, stretch, calendar: { anchorDay: 1, timezone: "UTC" } };
  const parameters = entryParameters(query, "service", 1_000_000);
  const rows = await runQuery<Record<string, string>>(
    db,
    `explain (analyze, timing off, costs off) ${loadQuery("usage-entries")}`,
    parameters,
  );
  const plan = rows.map((row) => row["QUERY PLAN"] ?? "").join("\n");
  expect(new Set(plan.match(/usage_buckets_(?:\d{6}|default)(?=[ _])/g))).toEqual(new Set(["usage_buckets_202607"]));
  expect(plan).toContain("usage_buckets_202607_account_meter_bucket_idx");
  expect(plan).not.toContain("Seq Scan on usage_buckets");
  expect(plan).not.toMatch(/Rows Removed by Filter: [1-9]/);
  expect(await series(account, `meter=${METER}&granularity=month&from=${iso(stretch.start)}&to=${iso(stretch.end)}`)).toEqual([
    ["2026-07-01T00:00", 744],
  ]);
});
