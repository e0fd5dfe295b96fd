import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestStack, type TestStack } from "../../support/stack.ts";
import { ROOT } from "../../support/tools.ts";

/** What is no account's, and small or keyed by something else: whole on every node, or on one (docs/operations/citus.md). */
const REFERENCE = [
  "api_keys",
  "audited_tables",
  "catalog_versions",
  "document_series",
  "recalls",
  "retired_months",
  "sources",
  "test_clock",
  "walled_tables",
];
const LOCAL = ["document_numbers", "event_keys", "object_request_batches", "weir_migrations"];
/** Unique over all accounts, where a distributed table could only be so within one. */
const OVER_ALL_ACCOUNTS = ["audit_log_in_order", "invoices_by_id"];

let stack: TestStack;
let sql: postgres.Sql;

beforeAll(async () => {
  stack = await createTestStack();
  sql = postgres(stack.databaseUrl, { max: 1 });
});
afterAll(async () => {
  await sql.end();
  await stack.stop();
});

/** Tables, by whether their rows name an account; a partition goes with its table. */
async function tables(): Promise<{ name: string; named: boolean }[]> {
  return sql`
    select c.relname as name, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account') as named
    from pg_class c
    where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
    order by 1`;
}
const distributed = async (): Promise<string[]> =>
  (await tables()).filter(({ name, named }) => named && ![...REFERENCE, ...LOCAL].includes(name)).map(({ name }) => name);

describe("every table may be distributed by account:", () => {
  test("one without an account is a reference table or a local one, and said to be", async () => {
    const others = (await tables()).filter(({ named }) => !named).map(({ name }) => name);
    expect(others.filter((name) => ![...REFERENCE, ...LOCAL].includes(name))).toEqual([]);
    const text = readFileSync(join(ROOT, "docs/operations/citus.md"), "utf8");
    expect([...REFERENCE, ...LOCAL, ...OVER_ALL_ACCOUNTS].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  test("its primary key and every other unique one contain the account", async () => {
    const rows = await sql<{ index: string }[]>`
      select ic.relname as index
      from pg_index i join pg_class c on c.oid = i.indrelid join pg_class ic on ic.oid = i.indexrelid
      where i.indisunique and c.relname = any (${await distributed()})
        and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account' and a.attnum = any (i.indkey::int2[]))
      order by 1`;
    expect(rows.map(({ index }) => index)).toEqual(OVER_ALL_ACCOUNTS);
    const keyless = await sql<{ name: string }[]>`
      select c.relname as name from pg_class c
      where c.relname = any (${await distributed()}) and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`;
    expect(keyless).toEqual([]);
  });

  test("it refers to other distributed tables together with the account, and to local ones never", async () => {
    const rows = await sql<{ from: string; to: string; together: boolean }[]>`
      select c.relname as from, f.relname as to,
             exists (select from unnest(k.conkey, k.confkey) as p (own, other)
                     join pg_attribute a on a.attrelid = c.oid and a.attnum = p.own and a.attname = 'account'
                     join pg_attribute b on b.attrelid = f.oid and b.attnum = p.other and b.attname = 'account') as together
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
      where k.contype = 'f' and not c.relispartition and c.relname = any (${await distributed()})`;
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.filter(({ to, together }) => LOCAL.includes(to) || (!REFERENCE.includes(to) && !together))).toEqual([]);
  });

  test("the account is text everywhere: rows of one account meet on one node", async () => {
    const rows = await sql<{ type: string }[]>`
      select distinct format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(l.collname, '') as type
      from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_collation l on l.oid = a.attcollation
      where a.attname = 'account' and c.relname = any (${await distributed()})`;
    expect(rows).toEqual([{ type: "text default" }]);
  });
});
