import { readFileSync } from "node:fs";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestStack, type TestStack } from "../../support/stack.ts";

/** How each type of Postgres stands in src/stores/schema.ts, before `| null`. */
const TYPES: Record<string, RegExp> = {
  text: /^(?:Defaulted<)?string>?$/,
  uuid: /^string$/,
  numeric: /^string$/,
  bigint: /^(?:Defaulted<|GeneratedAlways<)?bigint>?$/,
  integer: /^(?:Defaulted<)?number>?$/,
  smallint: /^(?:Defaulted<)?number>?$/,
  boolean: /^(?:Defaulted<)?boolean>?$/,
  bytea: /^Buffer$/,
  jsonb: /^(?:unknown|ColumnType<unknown, string, (?:string|never)>)$/,
  "timestamp with time zone": /^(?:Defaulted<)?Timestamp>?$/,
  ARRAY: /^(?:Defaulted<)?string\[\]>?$/,
};

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

it("src/stores/schema.ts says what the migrated database says, column by column", async () => {
  const rows = await sql<{ table_name: string; column_name: string; data_type: string; is_nullable: string }[]>`
    select c.table_name, c.column_name, c.data_type, c.is_nullable
    from information_schema.columns c
    join pg_class k on k.relname = c.table_name and k.relnamespace = 'public'::regnamespace
    where c.table_schema = 'public' and not k.relispartition and c.table_name <> 'weir_migrations'`;
  const typed = typedColumns();
  const wrong = rows.flatMap(({ table_name: table, column_name: column, data_type, is_nullable }) => {
    const stated = typed.get(`${table}.${column}`);
    typed.delete(`${table}.${column}`);
    if (stated === undefined) return [`${table}.${column} is missing`];
    const nullable = stated.endsWith(" | null");
    const type = stated.replace(/ \| null$/, "");
    const fits = TYPES[data_type]?.test(type) === true && nullable === (is_nullable === "YES");
    return fits ? [] : [`${table}.${column} is ${data_type}, ${is_nullable === "YES" ? "nullable" : "not null"}; stated as ${stated}`];
  });
  expect(wrong).toEqual([]);
  expect([...typed.keys()]).toEqual([]);
});

function typedColumns(): Map<string, string> {
  const text = ["schema", "schema-credits", "schema-guards", "schema-objects", "schema-payments", "schema-usage"]
    .map((name) => readFileSync(new URL(`../../../src/stores/${name}.ts`, import.meta.url), "utf8"))
    .join("\n");
  const columns = new Map<string, string>();
  for (const [, table = "", body = ""] of text.matchAll(/^ {2}(\w+): \{\n(.*?)^ {2}\};/gms)) {
    for (const [, column = "", type = ""] of body.matchAll(/^ {4}(\w+): (.+);$/gm)) columns.set(`${table}.${column}`, type);
  }
  return columns;
}
