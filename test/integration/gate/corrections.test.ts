import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Engine } from "../../../src/engine.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";

const NOW = "2026-11-21T12:30:00.000Z";
const METER = "state_requests";

let t: TestApp;
let other: Engine;

beforeAll(async () => {
  t = await openTestApp();
  t.clock.set(NOW);
  other = await t.another();
});
afterAll(async () => {
  await t.stop();
  expect(t.troubles).toEqual([]);
});

type Json = Record<string, unknown>;

async function send(method: "GET" | "POST" | "PUT", url: string, account: string, body?: Json): Promise<{ status: number; body: Json }> {
  const answer = await t.send(method, url, { account, body });
  return { status: answer.status, body: answer.body };
}

async function newAccount(cap?: number): Promise<string> {
  const account = await t.newAccount();
  if (cap !== undefined) await t.cap(account, METER, "day", cap);
  return account;
}

const consume = (account: string, quantity: number, by = t.engine) =>
  by.gate.check({ account, service: "s", namespace: "Room", usage: { [METER]: quantity } }, t.clock.now());
const correct = (account: string, body: Json) =>
  send("POST", `/v1/accounts/${account}/corrections`, account, {
    meter: METER,
    reason: "a test",
    idempotencyKey: JSON.stringify(body),
    ...body,
  });
const used = async (account: string, period: "day" | "month" = "day"): Promise<number | undefined> =>
  (await t.engine.usage(account)).usage.meters[period][METER];

it("gives usage back, in force for the next check of any process, booked or not", async () => {
  const account = await newAccount(100);
  expect((await consume(account, 100)).allowed).toBe(true);
  expect((await consume(account, 1)).allowed).toBe(false);
  expect(await correct(account, { quantity: -30 })).toMatchObject({
    status: 201,
    body: { id: "correction_1", quantity: -30, at: NOW, madeBy: "operator" },
  });
  expect(await used(account)).toBe(70);
  expect((await consume(account, 31, other)).allowed).toBe(false);
  expect((await consume(account, 30, other)).allowed).toBe(true);
  expect((await consume(account, 1)).allowed).toBe(false);
  await t.engine.rollUp();
  expect(await used(account)).toBe(100);
  expect((await consume(account, 1, other)).allowed).toBe(false);
});

it("adds usage, past a limit where it happened", async () => {
  const account = await newAccount(100);
  await consume(account, 10);
  await correct(account, { quantity: 200 });
  expect(await used(account)).toBe(210);
  expect((await consume(account, 1)).denials[0]).toMatchObject({ limit: 100, used: 210 });
});

it("stays within the limit by grants too: what is given back is granted again once, also to a new life of Redis", async () => {
  const account = await newAccount(1_000);
  for (let i = 0; i < 10; i++) expect((await consume(account, 100)).allowed).toBe(true);
  await correct(account, { quantity: -500 });
  await t.engine.bookAccount(account);
  await t.stack.loseRedis();
  let admitted = 0;
  while ((await consume(account, 50, other)).allowed) admitted += 50;
  // The lost life was lent what it spent, to the unit: nothing is stranded, and 500 were given back.
  expect(admitted).toBe(500);
  expect(await used(account)).toBe(1_000);
});

it("shows nothing used, never less, where it gives back more; the rest is used up first", async () => {
  const account = await newAccount(100);
  await consume(account, 10);
  await correct(account, { quantity: -40 });
  expect(await used(account)).toBe(0);
  expect((await consume(account, 35)).meters[METER]).toMatchObject({ used: 5, remaining: 95 });
  expect((await consume(account, 95)).allowed).toBe(true);
  expect((await consume(account, 1)).allowed).toBe(false);
});

it("counts in the windows that hold its time, and stands in the history there", async () => {
  const account = await newAccount(100);
  await consume(account, 50);
  await correct(account, { quantity: -20, at: "2026-11-20T23:59:59.999Z" });
  await correct(account, { quantity: -5, at: "2026-10-31T12:00:00Z" });
  expect([await used(account, "day"), await used(account, "month")]).toEqual([50, 30]);
  await t.engine.rollUp();
  const history = await send(
    "GET",
    `/v1/usage/history?meter=${METER}&granularity=day&from=2026-10-31T00:00:00Z&to=2026-11-22T00:00:00Z`,
    account,
  );
  expect(history.body).toEqual({
    series: [
      { start: "2026-10-31T00:00:00.000Z", quantity: -5 },
      { start: "2026-11-20T00:00:00.000Z", quantity: -20 },
      { start: "2026-11-21T00:00:00.000Z", quantity: 50 },
    ],
  });
});

it("answers the same key the same, counts it once from 40 at once, and refuses another body", async () => {
  const account = await newAccount();
  const body = { quantity: 7, idempotencyKey: "once" };
  const answers = await Promise.all(Array.from({ length: 40 }, () => correct(account, body)));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(answers[0]?.status).toBe(201);
  expect(await used(account)).toBe(7);
  expect(await correct(account, { ...body, quantity: 8 })).toMatchObject({ status: 409, body: { code: "idempotency_mismatch" } });
  expect(await correct(account, { ...body, at: NOW })).toMatchObject({ status: 409 });
  expect(await used(account)).toBe(7);
});

it("lists newest first, by pages", async () => {
  const account = await newAccount();
  for (let quantity = 1; quantity <= 5; quantity++) await correct(account, { quantity });
  const seen: unknown[] = [];
  let cursor = "";
  for (let page = 0; page < 3; page++) {
    const { body } = await send("GET", `/v1/accounts/${account}/corrections?limit=2${cursor}`, account);
    seen.push(...(body["corrections"] as Json[]).map((c) => c["quantity"]));
    cursor = body["nextCursor"] === null ? "" : `&cursor=${String(body["nextCursor"])}`;
  }
  expect(seen).toEqual([5, 4, 3, 2, 1]);
  expect(cursor).toBe("");
});

it.each<[string, Json]>([
  ["nothing to correct", { quantity: 0 }],
  ["a fraction", { quantity: 1.5 }],
  ["more than a quantity", { quantity: 2 ** 53 }],
  ["the future", { quantity: 1, at: "2026-11-21T12:30:00.001Z" }],
  ["the year 0", { quantity: 1, at: "0000-01-01T00:00:00Z" }],
  ["a gauge", { quantity: 1, meter: "state_sqlite_storage_bytes" }],
  ["an unknown meter", { quantity: 1, meter: "nothing" }],
  ["no reason", { quantity: 1, reason: " " }],
  ["no key", { quantity: 1, idempotencyKey: undefined }],
  ["a NUL", { quantity: 1, reason: "a\u0000b" }],
])("refuses %s", async (_, body) => {
  const account = await newAccount();
  expect(await correct(account, body)).toMatchObject({ status: 400, body: { code: "validation_failed" } });
});

it("does not find an account that does not exist, nor serves an account's own key", async () => {
  expect((await correct("acct_none", { quantity: 1 })).status).toBe(404);
  expect((await send("GET", "/v1/accounts/acct_none/corrections", "acct_none")).status).toBe(404);
});

it("stays exact at the greatest quantities", async () => {
  const account = await newAccount();
  const most = Number.MAX_SAFE_INTEGER;
  for (const sign of [1, -1]) for (let i = 0; i < 3; i++) await correct(account, { quantity: sign * most, idempotencyKey: `${sign}/${i}` });
  expect(await used(account)).toBe(0);
  expect((await consume(account, 3)).meters[METER]).toMatchObject({ used: 3 });
});

it("beyond the greatest quantity is shown as that, and every view can still be read", async () => {
  const account = await newAccount();
  await consume(account, 7);
  expect(await correct(account, { quantity: Number.MAX_SAFE_INTEGER })).toMatchObject({ status: 201 });
  for (const url of ["/v1/usage", `/v1/usage/history?meter=${METER}`, "/v1/standings", "/v1/invoices/upcoming"])
    expect([url, (await send("GET", url, account)).status]).toEqual([url, 200]);
  expect(await used(account)).toBe(Number.MAX_SAFE_INTEGER);
});

it("is never edited or removed", async () => {
  const account = await newAccount();
  await correct(account, { quantity: 3 });
  const sql = postgres(t.stack.databaseUrl, { max: 1 });
  try {
    await expect(sql`update corrections set quantity = 4 where account = ${account}`).rejects.toThrow("corrections only grows");
    await expect(sql`delete from corrections where account = ${account}`).rejects.toThrow("corrections only grows");
    await expect(sql`truncate corrections`).rejects.toThrow("corrections only grows");
  } finally {
    await sql.end();
  }
});
