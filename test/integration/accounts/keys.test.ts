import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hashKey } from "../../../src/accounts/api-key.ts";
import type { Engine } from "../../../src/engine.ts";
import { buildApp, type App } from "../../../src/http/app.ts";
import { openState } from "../../../src/state/open-state.ts";
import { ADMIN_KEY, openTestApp, type TestApp } from "../../support/app.ts";

/** A second process' engine and front door on the same stores. */
interface Other {
  engine: Engine;
  app: App;
}

let t: TestApp;
let sql: postgres.Sql;
const others: Other[] = [];
beforeAll(async () => {
  t = await openTestApp();
  sql = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  for (const name of ["second", "third"]) {
    const engine = await t.another();
    const state = await openState(engine, join(t.stack.dataDir, name), () => {});
    others.push({ engine, app: await buildApp({ engine, state, adminKey: ADMIN_KEY, redisDurable: null, runJobs: async () => {} }) });
  }
});
afterAll(async () => {
  await Promise.all(others.map((o) => o.app.close()));
  await sql.end();
  await t.stop();
});

// A route that asks Postgres alone: loading an account into Redis waits for every process, which is not what is tried here.
const statusAt = async (app: App, key: string, remoteAddress = "127.0.0.1"): Promise<number> =>
  (await app.inject({ method: "GET", url: "/v1/webhooks", headers: { authorization: `Bearer ${key}` }, remoteAddress })).statusCode;
const everywhere = (key: string): Promise<number[]> => Promise.all([t, ...others].map(({ app }) => statusAt(app, key)));

async function newKey(body: Record<string, unknown> = {}): Promise<{ account: string; base: string; id: string; key: string }> {
  const account = await t.newAccount();
  const base = `/v1/accounts/${account}/keys`;
  const made = await t.send("POST", base, { body: { scope: "account", ...body } });
  expect(made.status).toBe(201);
  return { account, base, id: String(made.body["id"]), key: String(made.body["key"]) };
}

describe("a key", () => {
  it("is kept as a hash, and shown once", async () => {
    const { base, id, key } = await newKey();
    expect(key).toMatch(/^weir_account_[0-9A-Za-z]{20}_[0-9A-Za-z]{30}$/);
    const [row] = await sql`select * from api_keys where id = ${id}`;
    expect(row?.["secret_hash"]).toEqual(hashKey(key));
    expect(JSON.stringify(row)).not.toContain(key.slice(-30));
    const list = await t.send("GET", base);
    expect(JSON.stringify(list.body)).not.toContain(key.slice(-30));
    expect(list.body["keys"]).toMatchObject([{ id, lastFour: key.slice(-4), lastUsedAt: null, replacedBy: null }]);
  });

  it("is one in all its parts: another scope, id or secret in it makes it none", async () => {
    const { key } = await newKey();
    const stranger = (await newKey()).key;
    const [weir, scope, id, secret] = key.split("_");
    const wrong = [
      [weir, "read", "only", id, secret].join("_"),
      [weir, "admin", id, secret].join("_"),
      [weir, scope, id, stranger.slice(-30)].join("_"),
      [weir, scope, stranger.split("_")[2], secret].join("_"),
      key.toLowerCase(),
      ` ${key}`.slice(0, -1),
    ];
    expect(await statusAt(t.app, key)).toBe(200);
    for (const other of wrong) expect([other, await statusAt(t.app, other)]).toEqual([other, 401]);
  });

  it("ends at its time, to the millisecond, and is not told apart from one that never was", async () => {
    const start = t.clock.now();
    const { key } = await newKey({ expiresAt: new Date(start + 5_000).toISOString() });
    t.clock.advance(4_999);
    expect(await everywhere(key)).toEqual([200, 200, 200]);
    t.clock.advance(1);
    expect(await everywhere(key)).toEqual([401, 401, 401]);
    const expired = await t.send("GET", "/v1/usage", { key });
    const unknown = await t.send("GET", "/v1/usage", { key: `weir_account_${"x".repeat(20)}_${"y".repeat(30)}` });
    expect(expired.body).toEqual(unknown.body);
  });

  it("is not made with a time that is past", async () => {
    const account = await t.newAccount();
    const body = { scope: "account", expiresAt: new Date(t.clock.now()).toISOString() };
    expect(await t.send("POST", `/v1/accounts/${account}/keys`, { body })).toMatchObject({
      status: 400,
      body: { code: "validation_failed" },
    });
  });
});

describe("a revocation", () => {
  it("is in force in every process when it is answered", async () => {
    for (let i = 0; i < 20; i++) {
      const { base, id, key } = await newKey();
      expect(await everywhere(key)).toEqual([200, 200, 200]);
      expect((await t.send("DELETE", `${base}/${id}`)).status).toBe(200);
      expect(await everywhere(key)).toEqual([401, 401, 401]);
    }
  });

  it("by hand, in Postgres, is heard too", async () => {
    const { id, key } = await newKey();
    expect(await everywhere(key)).toEqual([200, 200, 200]);
    await sql`update api_keys set revoked_at = now() where id = ${id}`;
    await expect.poll(() => everywhere(key)).toEqual([401, 401, 401]);
  });

  it("while a process' connection is cut is known to it as soon as it is there again, and before by asking", async () => {
    const { base, id, key } = await newKey();
    expect(await everywhere(key)).toEqual([200, 200, 200]);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'weir listener'`;
    expect((await t.send("DELETE", `${base}/${id}`)).status).toBe(200);
    expect(await everywhere(key)).toEqual([401, 401, 401]);
  });

  it("twice is one, and of another account's key none", async () => {
    const [own, other] = [await newKey(), await newKey()];
    expect((await t.send("DELETE", `${own.base}/${other.id}`)).status).toBe(404);
    expect(await statusAt(t.app, other.key)).toBe(200);
    await t.send("DELETE", `${own.base}/${own.id}`);
    const first = await t.send("GET", own.base);
    t.clock.advance(1_000);
    expect((await t.send("DELETE", `${own.base}/${own.id}`)).status).toBe(200);
    expect((await t.send("GET", own.base)).body).toEqual(first.body);
  });
});

describe("a rotation", () => {
  it("lets both keys work for the overlap, and then the new one alone", async () => {
    const { base, id, key } = await newKey({ name: "ci" });
    const rotated = await t.send("POST", `${base}/${id}/rotate`, { body: { overlapSeconds: 60 } });
    expect(rotated).toMatchObject({ status: 201, body: { scope: "account", name: "ci", expiresAt: null, replacedBy: null } });
    const next = String(rotated.body["key"]);
    expect(await everywhere(key)).toEqual([200, 200, 200]);
    expect(await everywhere(next)).toEqual([200, 200, 200]);
    const { body } = await t.send("GET", base);
    expect((body["keys"] as { id: string }[]).find((k) => k.id === id)).toMatchObject({ replacedBy: rotated.body["id"] });
    t.clock.advance(60_000);
    expect(await everywhere(key)).toEqual([401, 401, 401]);
    expect(await everywhere(next)).toEqual([200, 200, 200]);
  });

  it("without an overlap ends the old key in every process at once", async () => {
    const { base, id, key } = await newKey();
    expect(await everywhere(key)).toEqual([200, 200, 200]);
    expect((await t.send("POST", `${base}/${id}/rotate`, { body: { overlapSeconds: 0 } })).status).toBe(201);
    expect(await everywhere(key)).toEqual([401, 401, 401]);
  });

  it("gives the new key as long a life as the old one had, and the old one no longer one", async () => {
    const start = t.clock.now();
    const { base, id } = await newKey({ expiresAt: new Date(start + 3_600_000).toISOString() });
    t.clock.advance(3_000_000);
    const { body } = await t.send("POST", `${base}/${id}/rotate`);
    expect(body["expiresAt"]).toBe(new Date(start + 6_600_000).toISOString());
    const { body: list } = await t.send("GET", base);
    const old = (list["keys"] as { id: string; expiresAt: string }[]).find((k) => k.id === id);
    expect(old?.expiresAt).toBe(new Date(start + 3_600_000).toISOString());
  });

  it("happens once, however many ask at once", async () => {
    const { base, id } = await newKey();
    const answers = await Promise.all(Array.from({ length: 8 }, () => t.send("POST", `${base}/${id}/rotate`)));
    expect(answers.filter((a) => a.status === 201)).toHaveLength(1);
    expect(answers.filter((a) => a.status === 409)).toHaveLength(7);
    expect(((await t.send("GET", base)).body["keys"] as unknown[]).length).toBe(2);
  });

  it("is refused for a key that ended, and for one that is not there", async () => {
    const { base, id } = await newKey();
    await t.send("DELETE", `${base}/${id}`);
    expect(await t.send("POST", `${base}/${id}/rotate`)).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await t.send("POST", `/v1/keys/${id}/rotate`)).status).toBe(404);
    const other = await newKey();
    expect((await t.send("POST", `${base}/${other.id}/rotate`)).status).toBe(404);
    const long = { body: { overlapSeconds: 30 * 86_400 + 1 } };
    expect((await t.send("POST", `${other.base}/${other.id}/rotate`, long)).body).toMatchObject({ code: "validation_failed" });
  });

  it("of an operator's key goes alike", async () => {
    const made = await t.send("POST", "/v1/keys", { body: { scope: "data_plane" } });
    const account = await t.newAccount();
    const rotated = await t.send("POST", `/v1/keys/${String(made.body["id"])}/rotate`);
    for (const { body } of [made, rotated])
      expect((await t.send("GET", "/v1/usage", { key: String(body["key"]), account })).status).toBe(200);
  });
});

describe("the use of a key", () => {
  it("is written down, to the minute", async () => {
    const { base, id, key } = await newKey();
    const lastUse = async () => ((await t.send("GET", base)).body["keys"] as { lastUsedAt: string | null }[])[0]?.lastUsedAt;
    const first = new Date(t.clock.now()).toISOString();
    await statusAt(t.app, key);
    await expect.poll(lastUse).toBe(first);
    t.clock.advance(10_000);
    await statusAt(t.app, key);
    await t.engine.keys.noteUses();
    expect(await lastUse()).toBe(first);
    t.clock.advance(50_000);
    await statusAt(t.app, key);
    await t.engine.keys.noteUses();
    expect(await lastUse()).toBe(new Date(t.clock.now()).toISOString());
    // Another process that has seen it in the same minute writes nothing.
    const [before] = await sql`select xmin::text from api_keys where id = ${id}`;
    await statusAt(others[0]!.app, key);
    await others[0]!.engine.keys.noteUses();
    const [after] = await sql`select xmin::text from api_keys where id = ${id}`;
    expect(after).toEqual(before);
  });
});

describe("wrong keys from one address", () => {
  const wrong = (i: number): string => `weir_account_${String(i).padStart(20, "0")}_${"z".repeat(30)}`;

  it("are answered rate_limited after a while, with Retry-After; a good key still passes, and other addresses do not notice", async () => {
    const { key } = await newKey();
    const from = "192.0.2.77";
    const answers = [];
    for (let i = 0; i < 130; i++)
      answers.push(
        await t.app.inject({ method: "GET", url: "/v1/usage", headers: { authorization: `Bearer ${wrong(i)}` }, remoteAddress: from }),
      );
    expect(answers.slice(0, 100).every((a) => a.statusCode === 401)).toBe(true);
    const limited = answers.filter((a) => a.statusCode === 429);
    expect(limited.length).toBeGreaterThan(20);
    expect(limited[0]?.json()).toMatchObject({ code: "rate_limited", status: 429 });
    expect(Number(limited[0]?.headers["retry-after"])).toBeGreaterThan(0);
    await expect.poll(() => statusAt(t.app, key, from)).toBe(200);
    expect(await statusAt(t.app, wrong(1), "192.0.2.78")).toBe(401);
    const keyless = await t.app.inject({ method: "GET", url: "/v1/usage", remoteAddress: from });
    expect(keyless.statusCode).toBe(401);
  });

  it("are told apart by what a trusted proxy says, and by nobody else's word", async () => {
    const ask = (app: App, i: number, forwarded: string) =>
      app.inject({
        method: "GET",
        url: "/v1/usage",
        headers: { authorization: `Bearer ${wrong(i)}`, "x-forwarded-for": forwarded },
        remoteAddress: "10.0.0.9",
      });
    for (let i = 0; i < 101; i++) await ask(t.app, i, `198.51.100.${i}`);
    expect((await ask(t.app, 0, "203.0.113.5")).statusCode).toBe(429);
    const state = await openState(t.engine, join(t.stack.dataDir, "behind"), () => {});
    const behind = await buildApp({
      engine: t.engine,
      state,
      adminKey: ADMIN_KEY,
      redisDurable: null,
      runJobs: async () => {},
      trustProxy: 1,
    });
    for (let i = 0; i < 101; i++) await ask(behind, i, `8.8.8.8, 198.51.100.1`);
    expect((await ask(behind, 0, "198.51.100.1")).statusCode).toBe(429);
    // What a client puts before what the proxy adds changes nothing.
    expect((await ask(behind, 0, "1.2.3.4, 198.51.100.1")).statusCode).toBe(429);
    expect((await ask(behind, 0, "198.51.100.2")).statusCode).toBe(401);
    await behind.close();
  });
});

it("keys that were good are good for a while when Postgres is away, and others are not refused but unavailable", async () => {
  const { key } = await newKey();
  const plane = await t.key("data_plane");
  const account = await t.newAccount();
  expect(await statusAt(t.app, key)).toBe(200);
  const check = () => t.send("POST", "/v1/check", { key: plane, body: { account, usage: { state_requests: 1 } } });
  expect((await check()).status).toBe(200);
  const fresh = (await newKey()).key;
  const name = new URL(t.stack.databaseUrl).pathname.slice(1);
  const admin = postgres(new URL("/postgres", t.stack.databaseUrl).href, { max: 1, onnotice: () => {} });
  try {
    await admin.unsafe(`alter database ${name} allow_connections false`);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    await expect.poll(async () => (await check()).status).toBe(200);
    expect((await t.send("GET", "/v1/usage", { key: fresh })).body).toMatchObject({ code: "unavailable" });
  } finally {
    await admin.unsafe(`alter database ${name} allow_connections true`);
    await admin.end();
  }
  await expect.poll(() => statusAt(t.app, fresh)).toBe(200);
});
