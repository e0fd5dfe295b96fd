import { sql as fragment } from "kysely";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { onBehalfOf, onOwnBehalf, type Caller } from "../../../src/kernel/caller.ts";
import { openTestApp, type TestApp } from "../../support/app.ts";
import { makeParty, type Party } from "../isolation/party.ts";

let t: TestApp;
let sql: postgres.Sql;
let a: Party;
let b: Party;
beforeAll(async () => {
  t = await openTestApp();
  sql = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {} });
  a = await makeParty(t);
  b = await makeParty(t);
});
afterAll(async () => {
  await sql.end();
  await t.stop();
});

const tenant = (account: string, changes = true): Caller => ({
  account,
  actor: "key_test",
  scope: "account",
  operation: "test",
  changes,
  at: t.clock.now(),
  answered: false,
});

/** Runs a statement that forgot whose rows it is about, as a tenant's request would. */
async function asTenant<Row>(account: string, statement: string): Promise<Row[]> {
  return (await onBehalfOf(tenant(account), () => fragment.raw<Row>(statement).execute(t.engine.walled))).rows;
}

const tablesOfAccounts = async (): Promise<string[]> =>
  (
    await sql<{ name: string }[]>`
      select c.relname as name from pg_class c join pg_attribute x on x.attrelid = c.oid and x.attname = 'account'
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`
  ).map(({ name }) => name);

describe("a statement of a tenant that names no account", () => {
  it("sees its own rows in every table, and no others", async () => {
    const tables = await tablesOfAccounts();
    expect(tables.length).toBeGreaterThan(15);
    let filled = 0;
    for (const table of tables) {
      const others = await sql`select 1 from ${sql(table)} where account = ${b.account} limit 1`;
      const seen = await asTenant<{ account: string }>(a.account, `select distinct account from ${table}`).catch((error: unknown) => {
        if (!String(error).includes("permission denied")) throw error;
        return [];
      });
      expect([table, seen.map((row) => row.account).filter((account) => account !== a.account)]).toEqual([table, []]);
      if (others.length > 0 && seen.length > 0) filled += 1;
    }
    // Else nothing was tried.
    expect(filled).toBeGreaterThan(8);
  });

  it("counts, joins and sums its own rows alone", async () => {
    expect(await asTenant(a.account, "select count(*)::int as n from accounts")).toEqual([{ n: 1 }]);
    expect(await asTenant(a.account, `select count(*)::int as n from webhooks w join accounts x on x.account <> w.account`)).toEqual([
      { n: 0 },
    ]);
    expect(await asTenant(a.account, `select exists (select from caps where account = '${b.account}') as there`)).toEqual([
      { there: false },
    ]);
  });

  it("changes and removes its own rows alone", async () => {
    const told = () => sql`select count(*)::int as n from notifications where account = ${b.account}`;
    const [before] = await told();
    await asTenant(a.account, "update webhooks set description = 'mine'");
    await asTenant(a.account, "update caps set cap_value = 3");
    await asTenant(a.account, "delete from notifications");
    const [left] = await sql`
      select (select count(*)::int from webhooks where account = ${b.account} and description = 'mine') as hooks,
             (select count(*)::int from caps where account = ${b.account} and cap_value = 3) as caps`;
    expect(left).toEqual({ hooks: 0, caps: 0 });
    expect(before?.["n"]).toBeGreaterThan(0);
    expect((await told())[0]).toEqual(before);
  });

  it.each([
    [
      "a row for another account",
      () => `insert into caps select '${b.account}', meter, 'month', cap_value, hard_stop, notify_at_percent, updated_at from caps`,
    ],
    ["its own row to another account", () => `update caps set account = '${b.account}'`],
    ["a row of usage", () => `update usage_buckets set quantity = 0`],
    ["a plan", () => `update subscriptions set plan = 'pro'`],
    ["a key", () => `select * from api_keys`],
    ["the audit log", () => `select * from audit_log`],
    ["another's audit log", () => `select weir_audit('${b.account}', 'forged', '', '{}')`],
    ["a table's definition", () => `alter table caps disable row level security`],
  ])("cannot touch %s", async (_name, statement) => {
    await expect(asTenant(a.account, statement())).rejects.toThrow(/row-level security|permission denied|must be owner|another account/);
  });
});

describe("a session", () => {
  it("on which nobody is named answers nothing at all", async () => {
    const bare = postgres(t.stack.databaseUrl, { max: 1, onnotice: () => {}, connection: { role: "weir_tenant" } });
    await expect(bare`select * from caps`).rejects.toThrow("weir.account");
    await expect(bare`select count(*) from accounts`).rejects.toThrow("weir.account");
    await bare.end();
  });

  it("that is to change something names who asked, or changes nothing", async () => {
    const reader = tenant(a.account, false);
    const change = () => fragment.raw("update caps set cap_value = 11").execute(t.engine.walled);
    await expect(onBehalfOf(reader, change)).rejects.toThrow("nobody is named");
    const [cap] = await sql`select cap_value::int from caps where account = ${a.account}`;
    expect(cap).toEqual({ cap_value: 3 });
  });
});

describe("what runs on the house's own behalf", () => {
  const everyone = async (): Promise<number> => (await fragment.raw("select account from accounts").execute(t.engine.walled)).rows.length;

  it("sees every account: outside a request, after its answer, and where it says so", async () => {
    expect(await everyone()).toBe(2);
    const caller = tenant(a.account);
    await onBehalfOf(caller, async () => {
      expect(await everyone()).toBe(1);
      expect(await onOwnBehalf(everyone)).toBe(2);
      caller.answered = true;
      expect(await everyone()).toBe(2);
    });
  });
});

it("a request of a tenant runs behind the wall, a check does not wait for it", async () => {
  const seen = async (): Promise<string[]> =>
    (
      await sql<{ query: string }[]>`
      select query from pg_stat_activity where datname = current_database() and usename is not null and query like '%weir.account%'`
    ).map((row) => row.query);
  expect((await seen()).length).toBeGreaterThan(0);
  const key = await t.key("account", a.account);
  for (const url of ["/v1/usage", "/v1/webhooks", "/v1/notifications", "/v1/usage/caps", `/v1/accounts/${a.account}`])
    expect([url, (await t.send("GET", url, { key })).status]).toEqual([url, 200]);
});

it("never serves one caller with another's name, while connections die under it", async () => {
  let asked = 0;
  const one = async ({ account }: Party): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      const rows = await asTenant<{ account: string }>(account, "select account from accounts").catch(() => null);
      if (rows === null) continue;
      asked += 1;
      expect(rows).toEqual([{ account }]);
    }
  };
  const asking = Promise.all(Array.from({ length: 8 }, (_, i) => one(i % 2 === 0 ? a : b)));
  for (let i = 0; i < 8; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name = 'weir' and random() < 0.5`;
  }
  await asking;
  expect(asked).toBeGreaterThan(100);
});
