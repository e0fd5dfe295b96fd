import { afterAll, beforeAll, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../../support/app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await openTestApp();
});
afterAll(() => t.stop());

const METER = "state_requests";

it("lends, settles, renews and takes back over HTTP", async () => {
  const account = await t.newAccount();
  const key = await t.key("data_plane");
  await t.cap(account, METER, "day", 100);
  const granted = await t.send("POST", "/v1/leases", { key, body: { account, meters: { [METER]: 60 }, holder: "h-1" } });
  expect(granted).toMatchObject({ status: 200, body: { granted: { [METER]: 60 }, epoch: 1, windows: { day: {}, month: {} } } });
  const url = `/v1/leases/${String(granted.body["leaseId"])}`;
  const settled = await t.send("POST", `${url}/settle`, { key, body: { seq: 1, used: { [METER]: 30 }, renew: { [METER]: 90 } } });
  expect(settled).toMatchObject({ status: 200, body: { granted: { [METER]: 100 }, used: { [METER]: 30 } } });
  const usage = await t.send("GET", "/v1/usage", { key, account });
  expect(usage.body["meters"]).toContainEqual(expect.objectContaining({ meter: METER, used: 30, reserved: 70, state: "exceeded" }));
  expect(await t.send("DELETE", url, { key })).toMatchObject({ status: 200, body: { closed: true } });
  expect(await t.send("DELETE", url, { key })).toMatchObject({ status: 200, body: { closed: true } });
});

it("says by when a lowered cap is in force at every holder", async () => {
  const account = await t.newAccount();
  const body = { period: "day", capValue: 50 };
  const at = new Date(t.clock.now()).toISOString();
  expect(await t.send("PUT", `/v1/usage/caps/${METER}`, { account, body })).toMatchObject({ body: { effectiveBy: at } });
  await t.send("POST", "/v1/leases", { body: { account, meters: { [METER]: 10 }, ttlSeconds: 3 } });
  const later = new Date(t.clock.now() + 3_000).toISOString();
  expect(await t.send("PUT", `/v1/usage/caps/${METER}`, { account, body: { ...body, capValue: 5 } })).toMatchObject({
    body: { capValue: 5, effectiveBy: later, reserved: 10, state: "exceeded" },
  });
});

it("lets a key of an account lend itself, and sees nobody else's", async () => {
  const [account, other] = [await t.newAccount(), await t.newAccount()];
  const [own, foreign, reader] = [await t.key("account", account), await t.key("account", other), await t.key("read_only", account)];
  const body = { account, meters: { [METER]: 5 } };
  const { status, body: lease } = await t.send("POST", "/v1/leases", { key: own, body });
  expect(status).toBe(200);
  const url = `/v1/leases/${String(lease["leaseId"])}`;
  expect((await t.send("POST", "/v1/leases", { key: foreign, body })).status).toBe(404);
  expect((await t.send("POST", "/v1/leases", { key: reader, body })).status).toBe(403);
  expect((await t.send("POST", "/v1/leases", { key: null, body })).status).toBe(401);
  expect((await t.send("POST", `${url}/settle`, { key: foreign, body: { seq: 1, used: {} } })).status).toBe(404);
  expect((await t.send("DELETE", url, { key: foreign })).status).toBe(404);
  expect((await t.send("DELETE", url, { key: own })).status).toBe(200);
});

it.each<[text: string, body: Record<string, unknown>]>([
  ["no meters", { meters: {} }],
  ["a gauge", { meters: { state_sqlite_storage_bytes: 1 } }],
  ["an unknown meter", { meters: { none: 1 } }],
  ["a negative quantity", { meters: { [METER]: -1 } }],
  ["half a unit", { meters: { [METER]: 0.5 } }],
  ["more than fits", { meters: { [METER]: 2 ** 53 } }],
  ["text", { meters: { [METER]: "5" } }],
  ["a holder without end", { meters: { [METER]: 1 }, holder: "h".repeat(129) }],
  ["a ttl without end", { meters: { [METER]: 1 }, ttlSeconds: 61 }],
  ["what nobody knows", { meters: { [METER]: 1 }, more: true }],
])("refuses %s", async (_, body) => {
  const account = await t.newAccount();
  expect(await t.send("POST", "/v1/leases", { body: { account, ...body } })).toMatchObject({
    status: 400,
    body: { code: "validation_failed" },
  });
});

it("does not know accounts and leases that are not there", async () => {
  const body = { account: "acct_none", meters: { [METER]: 1 } };
  expect(await t.send("POST", "/v1/leases", { body })).toMatchObject({ status: 404, body: { code: "not_found" } });
  for (const id of ["nonsense", `lse_YWNjdF8x.${"a".repeat(20)}`]) {
    expect((await t.send("POST", `/v1/leases/${id}/settle`, { body: { seq: 1, used: {} } })).status).toBe(404);
    expect((await t.send("DELETE", `/v1/leases/${id}`)).status).toBe(404);
  }
});
