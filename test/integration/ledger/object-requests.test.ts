import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CheckRequest } from "../../../src/gate/check-request.ts";
import { DAY_MS, iso, monthWindow } from "../../../src/kernel/window.ts";
import { bookObjectRequests, forgetObjectRequests } from "../../../src/ledger/object-request-store.ts";
import { ObjectRequests } from "../../../src/ledger/object-requests.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { NOON } from "../../support/engine.ts";

const REQUESTS = "state_requests";
const ROWS = "state_sqlite_rows_written";
const MONTH = monthWindow(Date.parse(NOON), { anchorDay: 1, timezone: "UTC" }).start;

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const rows = async (statement: string): Promise<unknown[]> => (await sql.raw(statement).execute(t.engine.db)).rows;

interface Listed {
  object: string;
  requests: number;
  storageBytes: number;
  changedAt: string | null;
}

/** All pages of the list, two objects each. */
async function list(account: string, query = "sort=requests"): Promise<Listed[]> {
  const seen: Listed[] = [];
  let cursor = "";
  do {
    const { status, body } = await t.send("GET", `/v1/usage/objects?limit=2&${query}${cursor}`, { account });
    expect(status).toBe(200);
    seen.push(...(body["objects"] as Listed[]));
    cursor = body["nextCursor"] === null ? "" : `&cursor=${String(body["nextCursor"])}`;
  } while (cursor !== "");
  return seen;
}

const counts = async (account: string, query?: string): Promise<[string, number][]> =>
  (await list(account, query)).map(({ object, requests }) => [object, requests]);

const of = (account: string, object: string, part: Partial<CheckRequest> = {}): CheckRequest => ({
  account,
  service: "s",
  namespace: "Room",
  object,
  usage: { [REQUESTS]: 1 },
  ...part,
});

describe("what counts as an object's request", () => {
  // Each way once, and what it adds to the object `x`.
  const ways: Record<string, { adds: number; act: (account: string) => Promise<unknown> }> = {
    "a check that counts": { adds: 1, act: (account) => t.check(of(account, "x")) },
    "a check of several requests": { adds: 7, act: (account) => t.check(of(account, "x", { usage: { [REQUESTS]: 7, [ROWS]: 2 } })) },
    "checks one after the other, most of them the short way": {
      adds: 40,
      act: async (account) => {
        for (let i = 0; i < 40; i++) await t.check(of(account, "x"));
      },
    },
    "a check that stores": { adds: 1, act: (account) => t.check(of(account, "x", { storageBytes: { set: 100 } })) },
    "a check that counts rows alone": { adds: 0, act: (account) => t.check(of(account, "x", { usage: { [ROWS]: 1 } })) },
    "a check that names no object": { adds: 0, act: (account) => t.check({ account, usage: { [REQUESTS]: 1 } }) },
    "a peek": { adds: 0, act: (account) => t.check(of(account, "x", { mode: "peek" })) },
    "a denied check": {
      adds: 0,
      act: async (account) => {
        await t.cap(account, ROWS, "day", 0);
        expect(await t.check(of(account, "x", { usage: { [REQUESTS]: 1, [ROWS]: 1 } }))).toMatchObject({ allowed: false });
      },
    },
    "a check repeated under its key": {
      adds: 1,
      act: async (account) => {
        for (let i = 0; i < 3; i++) await t.check(of(account, "x", { idempotencyKey: "k" }));
      },
    },
    "a reservation, as it is settled": {
      adds: 3,
      act: async (account) => {
        const { reservation } = await t.check(of(account, "x", { mode: "reserve", usage: { [REQUESTS]: 9 } }));
        for (let i = 0; i < 2; i++) await t.engine.gate.settle(reservation?.id ?? "", { usage: { [REQUESTS]: 3 } }, t.clock.now());
      },
    },
    "a reservation that is released": {
      adds: 0,
      act: async (account) => {
        const { reservation } = await t.check(of(account, "x", { mode: "reserve" }));
        await t.engine.gate.release(reservation?.id ?? "", t.clock.now());
      },
    },
    "an event, however often it is sent": {
      adds: 5,
      act: async (account) => {
        const data = { service: "s", namespace: "Room", object: "x", usage: { [REQUESTS]: 5 } };
        const event = { specversion: "1.0", type: "weir.usage", id: "1", source: "test", subject: account, data };
        for (let i = 0; i < 2; i++) await t.engine.recordEvents([event], { account: null });
      },
    },
  };

  test.each(Object.entries(ways))("%s", async (_, { adds, act }) => {
    const account = await t.newAccount();
    await act(account);
    expect(await counts(account)).toEqual(adds === 0 ? [] : [["x", adds]]);
  });
});

test("lists the busiest first, by pages, of a service or a namespace, and beside their sizes", async () => {
  const account = await t.newAccount();
  const asked: [object: string, requests: number, part?: Partial<CheckRequest>][] = [
    ["a", 3],
    ["b", 9],
    ["c", 3],
    ["d", 1, { namespace: "Hall" }],
    ["e", 5, { service: "other" }],
  ];
  for (const [object, requests, part] of asked) await t.check(of(account, object, { usage: { [REQUESTS]: requests }, ...part }));
  await t.check(of(account, "a", { usage: {}, storageBytes: { set: 400 } }));
  await t.check(of(account, "silent", { usage: {}, storageBytes: { set: 500 } }));
  expect(await counts(account)).toEqual([
    ["b", 9],
    ["e", 5],
    ["c", 3],
    ["a", 3],
    ["d", 1],
  ]);
  expect((await counts(account, "sort=requests&service=other")).map(([object]) => object)).toEqual(["e"]);
  expect((await counts(account, "sort=requests&namespace=Hall")).map(([object]) => object)).toEqual(["d"]);
  expect(await counts(account, "sort=storage")).toEqual([
    ["silent", 0],
    ["a", 3],
  ]);
  const [busiest, ...rest] = await list(account);
  expect(busiest).toMatchObject({ object: "b", storageBytes: 0, changedAt: null });
  expect(rest.find(({ object }) => object === "a")).toMatchObject({ storageBytes: 400, changedAt: iso(t.clock.now()) });
  const { body } = await t.send("GET", "/v1/usage/objects?sort=requests", { account });
  expect(body["sortedBy"]).toBe("requests");
});

test("counts a check through the front door, alone and in a batch, and what State does", async () => {
  const account = await t.newAccount();
  const body = of(account, "x");
  expect((await t.send("POST", "/v1/check", { body })).status).toBe(200);
  expect((await t.send("POST", "/v1/checks", { body: { checks: [body, body] } })).status).toBe(200);
  expect(await counts(account)).toEqual([["x", 3]]);
  await t.send("POST", "/v1/services/s/state/namespaces", { account, body: { name: "Room" } });
  const value = { value: "1", encoding: "text" };
  await t.send("PUT", "/v1/services/s/state/namespaces/Room/objects/y/values/k", { account, body: value });
  await t.send("GET", "/v1/services/s/state/namespaces/Room/objects/y/values/k", { account });
  expect(await counts(account)).toEqual([
    ["x", 3],
    ["y", 2],
  ]);
});

test("adds up what several processes count, once each has booked", async () => {
  const account = await t.newAccount();
  const other = await t.another();
  for (const gate of [t.engine.gate, other.gate, other.gate]) await gate.check(of(account, "x"), t.clock.now());
  expect(await counts(account)).toEqual([["x", 1]]);
  await other.bookOwn();
  expect(await counts(account)).toEqual([["x", 3]]);
});

test("a batch that is sent again adds nothing, and one that comes late none to a later one", async () => {
  const account = await t.newAccount();
  const row = { account, service: "s", namespace: "Room", object: "x", monthStart: MONTH };
  const batch = (number: number, requests: number) => ({ source: "lost-answers", number, rows: [{ ...row, requests }] });
  for (const [number, requests] of [
    [1, 3],
    [1, 3],
    [2, 4],
    [1, 3],
  ] as const)
    await bookObjectRequests(t.engine.db, batch(number, requests), t.clock.now());
  expect(await counts(account)).toEqual([["x", 7]]);
});

test("what could not be booked is booked with what follows", async () => {
  const account = await t.newAccount();
  const { db } = t.engine;
  const requests = new ObjectRequests(db, `away-${account}`, () => undefined);
  const usage = [[REQUESTS, 2]] as const;
  requests.count(account, "s/Room/x", usage, t.clock.now());
  await rows("alter table object_request_batches rename to away");
  try {
    await expect(requests.book(t.clock.now())).rejects.toThrow(/object_request_batches/);
    requests.count(account, "s/Room/x", usage, t.clock.now());
  } finally {
    await rows("alter table away rename to object_request_batches");
  }
  await requests.book(t.clock.now());
  expect(await counts(account)).toEqual([["x", 4]]);
});

test("so many objects that they would not be remembered are booked at once", async () => {
  const account = await t.newAccount();
  const requests = new ObjectRequests(t.engine.db, `many-${account}`, () => undefined);
  const objects = 100_000;
  for (let i = 0; i < objects; i++) requests.count(account, `s/Room/${i}`, [[REQUESTS, 1]], t.clock.now());
  // The first that is too many begins the booking, and what comes after it is counted afresh.
  for (let i = 0; i < 3; i++) requests.count(account, "s/Room/last", [[REQUESTS, 1]], t.clock.now());
  await requests.book(t.clock.now());
  const sums = `select count(*)::int as objects, sum(requests)::int as requests from object_requests where account = '${account}'`;
  expect(await rows(sums)).toEqual([{ objects: objects + 1, requests: objects + 3 }]);
});

test("begins anew with the account's billing month, and the old one is forgotten", async () => {
  const account = await t.newAccount();
  await t.engine.limits.putAccount(account, { billingAnchorDay: 22, timezone: "Asia/Kathmandu" }, t.clock.now());
  // In Nepal, 5:45 ahead, the 22nd begins inside an hour.
  t.clock.set("2026-11-21T18:14:59.999Z");
  for (const object of ["x", "x", "y"]) await t.check(of(account, object));
  t.clock.set("2026-11-21T18:15:00.000Z");
  expect(await counts(account)).toEqual([]);
  await t.check(of(account, "x"));
  expect(await counts(account)).toEqual([["x", 1]]);
  t.clock.advance(DAY_MS);
  expect(await counts(account)).toEqual([["x", 1]]);

  const kept = (): Promise<unknown[]> =>
    rows(`select object, requests::int as requests from object_requests where account = '${account}' order by object`);
  await forgetObjectRequests(t.engine.db, Date.parse("2026-10-21T18:15:00.000Z"));
  expect(await kept()).toHaveLength(2);
  await forgetObjectRequests(t.engine.db, Date.parse("2026-10-21T18:15:00.001Z"));
  expect(await kept()).toEqual([{ object: "x", requests: 1 }]);
});
