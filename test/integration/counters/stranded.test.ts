import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { findAccount } from "../../../src/accounts/account-store.ts";
import { openEpoch, yieldEpoch } from "../../../src/ledger/epoch-store.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const METER = "state_requests";
const LIMIT = 1_000;

let t: TestApp;
let account: string;

beforeAll(async () => {
  t = await openTestApp();
  t.clock.set("2026-11-21T12:30:00.000Z");
});
afterAll(() => t.stop());
beforeEach(async () => {
  account = await t.newAccount();
  await t.cap(account, METER, "day", LIMIT);
});

type Json = Record<string, unknown>;

async function send(method: "GET" | "POST", url: string): Promise<{ status: number; body: Json }> {
  const answer = await t.send(method, url, { account });
  return { status: answer.status, body: answer.body };
}

const consume = (quantity: number) => t.engine.gate.check({ account, usage: { [METER]: quantity } }, t.clock.now());
const meter = async (): Promise<Json | undefined> =>
  ((await send("GET", "/v1/usage")).body["meters"] as Json[]).find((m) => m["meter"] === METER);
const strandedFinding = async () => (await t.engine.examine()).find((f) => f.check === "stranded budget");

async function spendAll(): Promise<number> {
  let spent = 0;
  while ((await consume(1)).allowed) spent += 1;
  return spent;
}

it("is shown apart from usage, refused with its reason, and never admitted twice", async () => {
  await consume(10);
  expect(await meter()).toMatchObject({ used: 10, stranded: 0 });
  await t.stack.loseRedis();
  // The lost Redis was lent a chunk of 100 and had spent 10.
  expect(await meter()).toMatchObject({ used: 10, remaining: 990, stranded: 90 });
  expect(await strandedFinding()).toMatchObject({
    state: "warning",
    found: expect.stringContaining(`${account}: 90 of ${METER} until 2026-11-22T00:00:00.000Z`) as string,
  });
  expect(await spendAll()).toBe(LIMIT - 10 - 90);
  const { denials } = await consume(1);
  expect(denials[0]).toMatchObject({ code: "limit_exceeded", used: 910, reserved: 90, requested: 1, limit: LIMIT });
  expect(denials[0]?.message).toMatch(/90 .*lost/);
  // Nothing of the denied budget is usage.
  await t.engine.rollUp();
  expect(await meter()).toMatchObject({ used: 910, stranded: 90 });
});

it("is told in a denial, and again under its key: what is used, held and asked for is more than the limit", async () => {
  await consume(10);
  await t.stack.loseRedis();
  const once = () => t.engine.gate.check({ account, usage: { [METER]: 950 }, idempotencyKey: "once" }, t.clock.now());
  const first = await once();
  expect(first).toMatchObject({ allowed: false, meters: { [METER]: { used: 10, reserved: 90, remaining: 900 } } });
  expect(first.denials).toMatchObject([{ used: 10, reserved: 90, requested: 950, limit: LIMIT }]);
  expect(await once()).toEqual(first);
  expect((await consume(900)).allowed).toBe(true);
});

it("is free again when the window ends", async () => {
  await consume(10);
  await t.stack.loseRedis();
  expect(await meter()).toMatchObject({ stranded: 90 });
  t.clock.set("2026-11-22T00:00:00.000Z");
  expect(await meter()).toMatchObject({ used: 0, stranded: 0 });
  expect(await strandedFinding()).toMatchObject({ state: "ok", found: "none" });
  expect(await spendAll()).toBe(LIMIT);
});

it("is freed by the operator's word: all that is booked stays used, to the unit", async () => {
  await consume(10);
  await t.stack.loseRedis();
  await consume(20);
  await t.stack.loseRedis();
  expect(await meter()).toMatchObject({ used: 30, stranded: 170 });
  expect(await send("POST", `/v1/accounts/${account}/reclaim`)).toMatchObject({
    status: 200,
    body: { reclaimed: [{ quantity: 90 }, { quantity: 80 }] },
  });
  expect(await meter()).toMatchObject({ used: 30, stranded: 0 });
  expect(await spendAll()).toBe(LIMIT - 30);
  expect((await send("POST", `/v1/accounts/${account}/reclaim`)).body).toEqual({ reclaimed: [] });
  expect(await spendAll()).toBe(0);
  expect((await t.engine.checkInvariants()).filter((r) => r.violations.length > 0)).toEqual([]);
});

it("cannot be freed for an account that does not exist", async () => {
  expect((await send("POST", "/v1/accounts/acct_none/reclaim")).status).toBe(404);
});

it("keeps ordinals of lives apart: one that was handed back is never given again", async () => {
  await consume(1);
  const version = (await findAccount(t.engine.db, account, t.clock.now()))?.limitsVersion ?? 0;
  const first = await openEpoch(t.engine.db, account, version, t.clock.now());
  await yieldEpoch(t.engine.db, account, first ?? 0, 1);
  expect(await openEpoch(t.engine.db, account, version, t.clock.now())).toBe((first ?? 0) + 1);
});

it("the doctor knows the stores and finds every invariant in order", async () => {
  await t.engine.rollUp();
  const { status, body } = await send("GET", "/v1/doctor");
  expect(status).toBe(200);
  const findings = body["findings"] as { check: string; state: string; found: string }[];
  const of = (check: string) => findings.find((f) => f.check === check);
  expect(of("postgres")?.found).toMatch(/^PostgreSQL \d+/);
  expect(of("migrations")?.found).toMatch(/have run, the newest 00\d\d_/);
  expect(of("redis")?.found).toMatch(/^Redis \d.*run [0-9a-f]{8}/);
  expect(of("redis durability")).toMatchObject({ state: "warning" });
  expect(of("rollup")).toMatchObject({ state: "ok" });
  expect(findings.filter((f) => f.check.startsWith("invariant ")).map((f) => f.state)).not.toContain("failed");
});
