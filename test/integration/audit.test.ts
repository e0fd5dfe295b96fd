import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listAudit, listChains, type PlacedEntry } from "../../src/audit/audit-store.ts";
import { hashOf } from "../../src/audit/entry.ts";
import { AuditVerification } from "../../src/audit/verification.ts";
import { checkInvariants } from "../../src/ledger/invariants.ts";
import { openTestApp, type SendOptions, type TestApp } from "../support/app.ts";

let t: TestApp;
let sql: postgres.Sql;
beforeAll(async () => {
  t = await openTestApp();
  sql = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await t.stop();
});

const PAGE = { oldestFirst: true, after: null, limit: 100_000 };
const log = (account?: string): Promise<PlacedEntry[]> => listAudit(t.engine.db, { ...PAGE, account });
const detailOf = (entry: PlacedEntry | undefined): unknown => JSON.parse(entry?.detail ?? "null");

async function faults(): Promise<string[]> {
  const verification = new AuditVerification();
  for (const head of await listChains(t.engine.db, { after: null, limit: 100_000 })) verification.expect(head);
  for (const entry of await log()) verification.add(entry);
  verification.end();
  return verification.faults.map(({ account, number, fault }) => `${account ?? ""} ${number} ${fault}`);
}

type Case = [name: string, change: (account: string) => Parameters<TestApp["send"]>, action: string, detail: unknown];

const CASES: Case[] = [
  [
    "an account's plan and calendar",
    (a) => ["PUT", `/v1/accounts/${a}`, { body: { billingAnchorDay: 5, timezone: "Europe/Berlin" } }],
    "accounts.update",
    { billing_anchor_day: { old: 1, new: 5 }, timezone: { old: "UTC", new: "Europe/Berlin" } },
  ],
  [
    "an account's name and address, but not what they are",
    (a) => ["PUT", `/v1/accounts/${a}`, { body: { name: "Ada Lovelace", email: "ada@example.com" } }],
    "accounts.update",
    { name: "not shown", email: "not shown" },
  ],
  [
    "a subscription",
    (a) => ["PUT", `/v1/accounts/${a}/subscription`, { body: { plan: "free" } }],
    "subscriptions.update",
    { plan: { old: "pro", new: "free" } },
  ],
  [
    "a cap",
    (a) => ["PUT", "/v1/usage/caps/log_events", { account: a, body: { period: "day", capValue: 9 } }],
    "caps.insert",
    { meter: { new: "log_events" }, cap_value: { new: 9 }, hard_stop: { new: true } },
  ],
  [
    "a key",
    (a) => ["POST", `/v1/accounts/${a}/keys`, { body: { scope: "read_only" } }],
    "api_keys.insert",
    { scope: { new: "read_only" }, secret_hash: "not shown" },
  ],
  [
    "an endpoint",
    (a) => ["POST", "/v1/webhooks", { account: a, body: { url: "https://93.184.215.14/token-in-the-path" } }],
    "webhooks.insert",
    { url: "not shown", secret: "not shown" },
  ],
  [
    "a correction",
    (a) => [
      "POST",
      `/v1/accounts/${a}/corrections`,
      { body: { meter: "log_events", quantity: -3, reason: "as agreed", idempotencyKey: "k" } },
    ],
    "corrections.insert",
    { meter: { new: "log_events" }, quantity: { new: -3 }, reason: "not shown" },
  ],
  [
    "a service",
    (a) => ["PUT", "/v1/services/s", { account: a, body: { workerUrl: "https://example.com" } }],
    "services.insert",
    { worker_url: "not shown" },
  ],
  [
    "a namespace",
    (a) => ["POST", "/v1/services/s/state/namespaces", { account: a, body: { name: "Room" } }],
    "state_namespaces.insert",
    { name: "not shown" },
  ],
  ["a recount", (a) => ["POST", "/v1/recount", { body: { account: a, objects: [] } }], "postRecount", {}],
  ["a reclaim", (a) => ["POST", `/v1/accounts/${a}/reclaim`], "postAccountsByAccountReclaim", {}],
];

describe("the audit log", () => {
  it.each(CASES)("tells of %s, and who asked", async (_name, change, action, detail) => {
    const account = await t.newAccount();
    const { body } = await t.send("POST", "/v1/keys", { body: { scope: "admin" } });
    const [method, url, options] = change(account);
    const answer = await t.send(method, url, { ...options, key: String(body["key"]) });
    expect(answer.status).toBeLessThan(300);
    const entry = (await log(account)).findLast((e) => e.action === action);
    expect(entry).toMatchObject({ actor: body["id"], scope: "admin", account, at: "2026-11-21T12:00:00.000Z" });
    expect(entry?.operation).toMatch(/^(?:post|put)[A-Z]/);
    expect(detailOf(entry)).toMatchObject(detail as object);
    expect(await faults()).toEqual([]);
  });

  it("tells what a tenant did with its own key, and what was taken back", async () => {
    const account = await t.newAccount();
    const made = await t.send("POST", `/v1/accounts/${account}/keys`, { body: { scope: "account" } });
    const own: SendOptions = { key: String(made.body["key"]) };
    await t.send("PUT", "/v1/usage/caps/log_events", { ...own, body: { period: "day", capValue: 1 } });
    await t.send("PUT", "/v1/usage/caps/log_events", { ...own, body: { period: "day", capValue: 2 } });
    await t.send("DELETE", "/v1/usage/caps/log_events/day", own);
    await t.send("DELETE", `/v1/accounts/${account}/keys/${String(made.body["id"])}`);
    const entries = (await log(account)).map(({ actor, action, target, ...e }) => ({
      actor,
      action,
      target,
      detail: detailOf({ actor, action, target, ...e }),
    }));
    const id = String(made.body["id"]);
    expect(entries.slice(-5)).toMatchObject([
      { actor: "operator", action: "api_keys.insert", target: id },
      { actor: id, action: "caps.insert", target: "log_events/day" },
      { actor: id, action: "caps.update", detail: { cap_value: { old: 1, new: 2 } } },
      { actor: id, action: "caps.delete", target: "log_events/day", detail: { cap_value: { old: 2 } } },
      { actor: "operator", action: "api_keys.update", target: id },
    ]);
  });

  it("tells nothing of what was refused, of reading, and of usage", async () => {
    const account = await t.newAccount();
    const before = await log();
    await t.send("PUT", `/v1/accounts/${account}`, { body: { plan: "none" } });
    await t.send("PUT", "/v1/usage/caps/no_meter", { account, body: { period: "day", capValue: 1 } });
    await t.send("DELETE", "/v1/usage/caps/log_events/day", { account });
    await t.send("DELETE", `/v1/accounts/${account}/keys/key_${"x".repeat(20)}`);
    await t.send("POST", "/v1/recount", { body: { account: "acct_nobody", objects: [] } });
    await t.send("POST", "/v1/accounts/acct_nobody/reclaim");
    await t.send("GET", "/v1/usage", { account });
    await t.send("POST", "/v1/check", { body: { account, usage: { state_requests: 1 } } });
    await t.send("PUT", `/v1/accounts/${account}`, { body: {} });
    await t.engine.rollUp();
    expect(await log()).toEqual(before);
  });

  it("is not told of an account by a body that the route does not read", async () => {
    const account = await t.newAccount();
    const before = await log(account);
    for (const named of [account, "x".repeat(100_000)])
      expect((await t.send("POST", "/v1/invoices/run", { body: { account: named } })).status).toBe(200);
    expect(await log(account)).toEqual(before);
  });

  it("tells of what nobody asked for, by hand in Postgres say, too", async () => {
    const account = await t.newAccount();
    await sql`update accounts set billing_anchor_day = 9 where account = ${account}`;
    expect((await log(account)).at(-1)).toMatchObject({ actor: "weir", scope: "system", operation: "", action: "accounts.update" });
  });

  it("holds no secret and no text of people", async () => {
    const account = await t.newAccount();
    const words = "Zanzibar";
    const made = await t.send("POST", `/v1/accounts/${account}/keys`, { body: { scope: "account", name: words } });
    const hook = await t.send("POST", "/v1/webhooks", { account, body: { url: `https://93.184.215.14/${words}`, description: words } });
    await t.send("POST", `/v1/webhooks/${String(hook.body["id"])}/rotate`, { account });
    const correction = { meter: "log_events", quantity: 1, reason: words, idempotencyKey: words };
    await t.send("POST", `/v1/accounts/${account}/corrections`, { body: correction });
    const text = JSON.stringify(await log(account));
    const secrets = [made.body["key"], hook.body["secret"]].map((s) => String(s).slice(-24));
    for (const hidden of [words, ...secrets]) expect(text).not.toContain(hidden);
    const stored = await sql`select secret from webhooks where account = ${account}`;
    expect(text).not.toContain(Buffer.from(stored[0]?.["secret"] as Buffer).toString("hex"));
  });

  it("chains without gaps and without waiting for others, however many change at once", async () => {
    const accounts = await Promise.all(Array.from({ length: 4 }, () => t.newAccount()));
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        t.send("PUT", "/v1/usage/caps/log_events", { account: accounts[i % 4] ?? "", body: { period: "day", capValue: i } }),
      ),
    );
    expect(answers.filter((a) => a.status !== 200)).toEqual([]);
    for (const account of accounts) {
      const numbers = (await log(account)).map((e) => e.number);
      expect(numbers).toEqual(numbers.map((_, i) => i + 1));
      expect(numbers.length).toBeGreaterThan(20);
    }
    expect(await faults()).toEqual([]);
  });

  it("is hashed the same by Postgres and by who checks it, whatever the text", async () => {
    const account = await t.newAccount();
    await sql`select weir_audit(${account}, 'test.ünïcödé', ${"שלום \u{1f30a} a,b:3"}, ${sql.json({ ключ: "\u202evalue" })})`;
    const entry = (await log(account)).at(-1);
    expect(entry?.target).toContain("שלום");
    expect(entry?.hash).toBe(entry && hashOf(entry));
  });
});

describe("who tampers with the audit log", () => {
  const guarded = ["update audit_log set actor = 'nobody'", "delete from audit_log", "truncate audit_log", "delete from audit_heads"];
  it.each(guarded)("is refused: %s", async (statement) => {
    await expect(sql.unsafe(statement)).rejects.toThrow(/only grows/);
  });

  /** What somebody with all rights does; undone afterwards. */
  async function tampered(statement: string): Promise<{ faults: string[]; invariants: string[] }> {
    const account = await t.newAccount();
    for (const capValue of [1, 2, 3]) await t.send("PUT", "/v1/usage/caps/log_events", { account, body: { period: "day", capValue } });
    await sql`create table saved_log as select * from audit_log`;
    await sql`create table saved_heads as select * from audit_heads`;
    const guard = (state: string) =>
      sql.unsafe(`alter table audit_log ${state} trigger user; alter table audit_heads ${state} trigger user`).simple();
    await guard("disable");
    await sql.unsafe(statement.replaceAll("ACCOUNT", account));
    await guard("enable");
    const found = await faults();
    const broken = (await checkInvariants(t.engine.db, t.clock.now())).filter((c) => c.violations.length > 0);
    await guard("disable");
    await sql
      .unsafe(`delete from audit_log; insert into audit_log overriding system value select * from saved_log;
        delete from audit_heads; insert into audit_heads select * from saved_heads; drop table saved_log; drop table saved_heads`)
      .simple();
    await guard("enable");
    return { faults: found, invariants: broken.map((c) => c.check) };
  }

  it.each([
    ["changes an entry", "update audit_log set actor = 'operator2' where account = 'ACCOUNT' and number = 3", "3 is not what was hashed"],
    [
      "changes an entry and its hash",
      "update audit_log l set actor = 'x', hash = weir_audit_hash((l.account, l.number, l.seq, l.at, 'x', l.scope, l.operation, l.action, l.target, l.detail, l.previous, l.hash)) where account = 'ACCOUNT' and number = 3",
      "4 does not hold the hash",
    ],
    ["removes an entry", "delete from audit_log where account = 'ACCOUNT' and number = 3", "4 follows number 2"],
    ["removes the last entries", "delete from audit_log where account = 'ACCOUNT' and number > 3", "was noted before, and is gone"],
    ["removes a chain", "delete from audit_log where account = 'ACCOUNT'", "was noted before, and is gone"],
  ])("is found out: %s", async (_name, statement, fault) => {
    const found = await tampered(statement);
    expect(found.faults.join("\n")).toContain(fault);
    expect(found.invariants).toContain("audit-chains");
    expect(await faults()).toEqual([]);
  });
});

describe("GET /v1/audit", () => {
  it("pages both ways, by account and by key", async () => {
    const account = await t.newAccount();
    for (const capValue of [1, 2, 3, 4]) await t.send("PUT", "/v1/usage/caps/log_events", { account, body: { period: "day", capValue } });
    for (const order of ["newest", "oldest"]) {
      const numbers: number[] = [];
      let cursor = "";
      do {
        const { body } = await t.send("GET", `/v1/audit?account=${account}&order=${order}&limit=2${cursor}`);
        numbers.push(...(body["entries"] as { number: number }[]).map((e) => e.number));
        cursor = body["nextCursor"] === null ? "" : `&cursor=${String(body["nextCursor"])}`;
      } while (cursor !== "");
      const expected = Array.from({ length: numbers.length }, (_, i) => i + 1);
      expect(numbers).toEqual(order === "oldest" ? expected : expected.toReversed());
    }
    const { body } = await t.send("GET", "/v1/audit?actor=operator&limit=5");
    expect((body["entries"] as { actor: string }[]).map((e) => e.actor)).toEqual(Array(5).fill("operator"));
    expect((await t.send("GET", "/v1/audit?actor=me")).body).toMatchObject({ code: "validation_failed" });
    expect((await t.send("GET", "/v1/audit?cursor=WyJ4Il0")).body).toMatchObject({ code: "validation_failed" });
  });
});
