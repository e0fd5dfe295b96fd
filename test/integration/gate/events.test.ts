import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createKey } from "../../../src/accounts/api-key-store.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";

const HOUR = 3_600_000;
const MAX = Number.MAX_SAFE_INTEGER;

type Json = Record<string, unknown>;
interface Answer {
  accepted: number;
  duplicates: number;
  rejected: { index: number; code: string; detail: string }[];
}

let t: TestApp;
let accounts = 0;
let account: string;

beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());
beforeEach(async () => {
  account = await newAccount();
});
afterEach(() => {
  expect(t.troubles.splice(0)).toEqual([]);
});

async function newAccount(change: { timezone?: string; plan?: string } = {}): Promise<string> {
  const id = `acct_events_${++accounts}`;
  await t.engine.limits.putAccount(id, { plan: "pro", ...change }, t.clock.now());
  return id;
}

const event = (id: string, change: Json = {}): Json => ({
  specversion: "1.0",
  type: "weir.usage",
  source: `test/${account}`,
  id,
  subject: account,
  data: { service: "api", namespace: "Room", usage: { state_requests: 1 } },
  ...change,
});

async function post(payload: unknown, options: { key?: string; type?: string } = {}): Promise<{ status: number; body: Json }> {
  const { key = ADMIN_KEY, type = "application/json" } = options;
  const answer = await t.send("POST", "/v1/events", {
    key: key === "" ? null : key,
    headers: { "content-type": type },
    body: typeof payload === "string" ? payload : JSON.stringify(payload),
  });
  return { status: answer.status, body: answer.body };
}

async function recorded(payload: unknown, options: { key?: string; type?: string } = {}): Promise<Answer> {
  const { status, body } = await post(payload, options);
  expect(status).toBe(202);
  return body as unknown as Answer;
}

async function used(of = account, meter = "state_requests"): Promise<{ day: number | undefined; month: number | undefined }> {
  const { day, month } = (await t.engine.usage(of)).usage.meters;
  return { day: day[meter], month: month[meter] };
}

/** What the ledger holds, by bucket. */
async function booked(of = account): Promise<[string, number][]> {
  const rows = await t.engine.db
    .selectFrom("usage_buckets")
    .select(["bucket", "quantity"])
    .where("account", "=", of)
    .orderBy("bucket")
    .execute();
  const sums = new Map<string, number>();
  for (const r of rows) sums.set(r.bucket.toISOString(), (sums.get(r.bucket.toISOString()) ?? 0) + Number(r.quantity));
  return [...sums];
}

describe("POST /v1/events", () => {
  it.each([
    ["application/json", (e: Json) => e],
    ["application/cloudevents+json; charset=utf-8", (e: Json) => e],
    ["application/json", (e: Json) => [e]],
    ["application/cloudevents-batch+json", (e: Json) => [e]],
  ])("takes %s", async (type, wrap) => {
    expect(await recorded(wrap(event("e1")), { type })).toEqual({ accepted: 1, duplicates: 0, rejected: [] });
    expect(await used()).toEqual({ day: 1, month: 1 });
  });

  it("takes an empty array", async () => {
    expect(await recorded([])).toEqual({ accepted: 0, duplicates: 0, rejected: [] });
  });

  it("shows up in usage and stands against the limit of the very next check", async () => {
    await t.engine.limits.setCap(
      account,
      "state_requests",
      { period: "month", capValue: 10, hardStop: true, notifyAtPercent: 80 },
      t.clock.now(),
    );
    const check = async () => (await t.engine.gate.check({ account, usage: { state_requests: 1 } }, t.clock.now())).allowed;
    expect(await check()).toBe(true);
    await recorded(event("e1", { data: { usage: { state_requests: 8 } } }));
    expect(await used()).toEqual({ day: 9, month: 9 });
    expect([await check(), await check()]).toEqual([true, false]);
    // It has happened: no limit refuses it.
    expect(await recorded(event("e2", { data: { usage: { state_requests: 5 } } }))).toMatchObject({ accepted: 1 });
    expect(await used()).toEqual({ day: 15, month: 15 });
    await t.engine.rollUp();
    expect(await booked()).toEqual([["2026-11-21T12:00:00.000Z", 15]]);
  });

  it("counts the good ones of a batch and names the others", async () => {
    const other = await newAccount();
    const batch = [
      event("e1"),
      event("e2", { data: { usage: { no_such_meter: 1 } } }),
      event("e1"),
      event("e3", { subject: "acct_unknown" }),
      event("e4", { subject: other }),
      event("e5", { specversion: "2.0" }),
      event("e6", { data: { usage: { state_sqlite_storage_bytes: 1 } } }),
      7,
      event("e7", { data: { usage: { state_requests: 0, state_sqlite_rows_read: 9 } } }),
    ];
    const answer = await recorded(batch);
    expect(answer).toMatchObject({ accepted: 3, duplicates: 1 });
    expect(answer.rejected.map(({ index, code }) => [index, code])).toEqual([
      [1, "validation_failed"],
      [3, "not_found"],
      [5, "validation_failed"],
      [6, "validation_failed"],
      [7, "validation_failed"],
    ]);
    expect(await used()).toEqual({ day: 1, month: 1 });
    expect(await used(account, "state_sqlite_rows_read")).toEqual({ day: 9, month: 9 });
    expect(await used(other)).toEqual({ day: 1, month: 1 });
    // A rejected event leaves no trace: corrected, it counts.
    expect(await recorded(event("e5"))).toMatchObject({ accepted: 1 });
  });

  it("answers 202 for one bad event", async () => {
    expect(await recorded(event("e1", { type: "other" }))).toMatchObject({
      accepted: 0,
      duplicates: 0,
      rejected: [{ index: 0, code: "validation_failed" }],
    });
  });

  it.each([
    ["half an object", '{"specversion":', "invalid_json"],
    ["nothing", "", "invalid_json"],
    ["a poisoned prototype", '[{"__proto__":{"a":1}}]', "invalid_json"],
    ["a poisoned constructor", '{"data":{"constructor":{"prototype":{"a":1}}}}', "invalid_json"],
  ])("refuses %s whatever its content type", async (_, payload, code) => {
    for (const type of ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"]) {
      expect(await post(payload, { type })).toMatchObject({ status: 400, body: { code } });
    }
  });

  it("takes 1,000 events and not one more", async () => {
    const batch = Array.from({ length: 1_001 }, (_, i) => event(`e${i}`));
    expect(await post(batch)).toMatchObject({ status: 400, body: { code: "validation_failed" } });
    expect(await used()).toEqual({ day: 0, month: 0 });
    expect(await recorded(batch.slice(1))).toMatchObject({ accepted: 1_000 });
    expect(await used()).toEqual({ day: 1_000, month: 1_000 });
  });

  it("takes the longest names in 1,000 events", async () => {
    const longest = (i: number) =>
      event(`${i}-`.padEnd(255, "i"), {
        source: "s".repeat(255),
        data: {
          service: "s".repeat(64),
          namespace: "N".repeat(64),
          object: "o".repeat(512),
          usage: { state_requests: MAX - 5 - i, state_sqlite_rows_read: i },
        },
      });
    const answer = await recorded(Array.from({ length: 1_000 }, (_, i) => longest(i)));
    expect(answer.accepted).toBe(1);
    expect(answer.rejected).toHaveLength(999);
  });
});

describe("who may send", () => {
  const keyOf = async (scope: "admin" | "data_plane" | "account" | "read_only", of: string | null): Promise<string> =>
    (await createKey(t.engine.db, { scope, account: of, name: null, expiresAt: null }, t.clock.now())).key;

  it("is the operator, for every account, and an account for itself", async () => {
    expect(await post(event("e0"), { key: "" })).toMatchObject({ status: 401 });
    expect(await post(event("e0"), { key: await keyOf("read_only", account) })).toMatchObject({ status: 403 });
    expect(await recorded(event("e1"), { key: await keyOf("data_plane", null) })).toMatchObject({ accepted: 1 });
    const own = await keyOf("account", account);
    const stranger = await newAccount();
    const answer = await recorded([event("e2"), event("e3", { subject: stranger }), event("e4", { subject: "acct_unknown" })], {
      key: own,
    });
    expect(answer).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(answer.rejected).toEqual([
      { index: 1, code: "not_found", detail: `Account ${stranger} was not found.` },
      { index: 2, code: "not_found", detail: "Account acct_unknown was not found." },
    ]);
    expect(await used(stranger)).toEqual({ day: 0, month: 0 });
  });

  it("cannot keep the operator's events from being counted by sending their ids first", async () => {
    const own = await keyOf("account", account);
    expect(await recorded(event("e1", { data: { usage: {} } }), { key: own })).toMatchObject({ accepted: 1 });
    expect(await recorded(event("e1", { data: { usage: { state_requests: 7 } } }))).toMatchObject({ accepted: 1 });
    expect(await recorded(event("e1", { data: { usage: {} } }), { key: own })).toMatchObject({ duplicates: 1 });
    expect(await used()).toEqual({ day: 7, month: 7 });
  });
});

describe("the time of an event", () => {
  const at = (ms: number): string => new Date(ms).toISOString();

  it("counts in its own hour from 24 hours ago to five minutes ahead", async () => {
    const now = t.clock.now();
    const answer = await recorded([
      event("e1", { time: at(now - 24 * HOUR) }),
      event("e2", { time: at(now - 24 * HOUR - 1) }),
      event("e3", { time: at(now + 300_000) }),
      event("e4", { time: at(now + 300_001) }),
      event("e5", { time: "2026-11-21T05:00:00+05:30" }),
    ]);
    expect(answer).toMatchObject({
      accepted: 3,
      rejected: [
        { index: 1, code: "validation_failed" },
        { index: 3, code: "validation_failed" },
      ],
    });
    expect(await booked()).toEqual([
      ["2026-11-20T12:00:00.000Z", 1],
      ["2026-11-20T23:00:00.000Z", 1],
      ["2026-11-21T12:00:00.000Z", 1],
    ]);
    expect(await used()).toEqual({ day: 1, month: 3 });
  });

  it("is that of receipt when there is none", async () => {
    await recorded(event("e1"));
    expect(await booked()).toEqual([["2026-11-21T12:00:00.000Z", 1]]);
  });

  it("makes an event that was counted in time a duplicate when it comes again too late", async () => {
    const late = event("e1", { time: at(t.clock.now() - 23 * HOUR) });
    expect(await recorded(late)).toMatchObject({ accepted: 1 });
    t.clock.advance(2 * HOUR);
    expect(await recorded([late, event("e2", { time: at(t.clock.now() - 25 * HOUR) })])).toMatchObject({
      accepted: 0,
      duplicates: 1,
      rejected: [{ index: 1 }],
    });
  });

  it("puts usage into the month of the account's zone, over midnight and the month's end", async () => {
    // December begins in Kolkata at 18:30 UTC on November 30.
    account = await newAccount({ timezone: "Asia/Kolkata" });
    t.clock.set("2026-11-30T18:29:00Z");
    await t.engine.gate.check({ account, usage: { state_requests: 1 } }, t.clock.now());
    expect(await recorded(event("e1", { time: "2026-11-30T18:31:00Z" }))).toMatchObject({ accepted: 1 });
    expect(await used()).toEqual({ day: 2, month: 2 });
    t.clock.set("2026-11-30T18:45:00Z");
    await recorded([event("e2", { time: "2026-11-30T18:29:59.999Z" }), event("e3", { time: "2026-11-30T18:30:00Z" }), event("e4")]);
    expect(await used()).toEqual({ day: 5, month: 2 });
    t.clock.set("2026-12-01T00:00:01Z");
    await recorded([event("e5", { time: "2026-11-30T23:59:59.999Z" }), event("e6", { time: "2026-12-01T00:00:00Z" })]);
    expect(await used()).toEqual({ day: 1, month: 4 });
    await t.engine.rollUp();
    expect(await booked()).toEqual([
      // The check, e1, which was ahead and is taken as now, and e2, of the month before.
      ["2026-11-30T18:00:00.000Z", 3],
      ["2026-11-30T18:30:00.000Z", 2],
      ["2026-11-30T23:00:00.000Z", 1],
      ["2026-12-01T00:00:00.000Z", 1],
    ]);
  });
});

describe("the end of a counter", () => {
  const of = (quantity: number, service = "api"): Json => ({ data: { service, usage: { state_requests: quantity } } });

  it.each([[true], [false]])(
    "refuses what would pass 2^53 - 1, also in another service and together with checks (loaded: %s)",
    async (loaded) => {
      if (loaded) await t.engine.gate.check({ account, usage: { state_requests: 5 } }, t.clock.now());
      const room = loaded ? MAX - 5 : MAX;
      const first = await recorded([event("e1", of(room - 2)), event("e2", of(3, "web")), event("e3", of(2, "web"))]);
      expect(first).toMatchObject({ accepted: 2, duplicates: 0, rejected: [{ index: 1, code: "validation_failed" }] });
      const second = await recorded([event("e1", of(room - 2)), event("e4", of(1, "other")), event("e5", of(0))]);
      expect(second).toMatchObject({ accepted: 1, duplicates: 1, rejected: [{ index: 1, code: "validation_failed" }] });
      expect(await used()).toEqual({ day: MAX, month: MAX });
      expect((await t.engine.gate.check({ account, usage: { state_requests: 1 } }, t.clock.now())).allowed).toBe(false);
    },
  );

  it("is not passed by requests that race for it", async () => {
    const half = 2 ** 52;
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => recorded(event(`e${i}`, of(half, `s${i}`)))));
    expect(answers.reduce((sum, a) => sum + a.accepted, 0)).toBe(1);
    expect(answers.reduce((sum, a) => sum + a.rejected.length, 0)).toBe(5);
    expect(await used()).toEqual({ day: half, month: half });
  });
});

describe("stored bytes", () => {
  const level = (id: string, storageBytes: Json): Json =>
    event(id, { data: { service: "api", namespace: "Room", object: "room-1", storageBytes } });
  const bytes = () => used(account, "state_sqlite_storage_bytes");

  it("move by delta and set, in the order sent, once, past limits too", async () => {
    const batch = [
      level("e1", { delta: 1_000 }),
      level("e2", { set: 20_000_000_000 }),
      level("e3", { delta: 5 }),
      level("e1", { delta: 1_000 }),
    ];
    expect(await recorded(batch)).toEqual({ accepted: 3, duplicates: 1, rejected: [] });
    expect(await recorded(batch)).toEqual({ accepted: 0, duplicates: 4, rejected: [] });
    expect(await bytes()).toEqual({ day: 20_000_000_005, month: 20_000_000_005 });
  });

  it("refuses a level that no store can hold", async () => {
    expect(await recorded([level("e1", { set: MAX }), level("e2", { delta: 1 })])).toMatchObject({ accepted: 1, rejected: [{ index: 1 }] });
    expect(await bytes()).toMatchObject({ month: MAX });
  });
});
