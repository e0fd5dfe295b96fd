import { readdirSync, readFileSync } from "node:fs";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ofAccounts } from "../../../src/ledger/invariants.ts";
import { SETTINGS } from "../../../src/stores/pooler.ts";
import { seed } from "../../billing/seed.ts";
import { createTestStack, type TestStack } from "../../support/stack.ts";

/** Before months are closed every check is asked of their accounts: it reads what is theirs, however many others there are. */

const ACCOUNTS = 4_000;
const ASKED = 100;
/** Rows of one kind that an account has here at most, by far. */
const ROWS_EACH = 10;
const CHECKS = new URL("../../../sql/checks/", import.meta.url);

interface Plan {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  Plans?: Plan[];
}

let stack: TestStack;
let sql: postgres.Sql;

beforeAll(async () => {
  stack = await createTestStack();
  await seed(stack.databaseUrl, { accounts: ACCOUNTS, hours: 1, days: 26, varied: false });
  sql = postgres(stack.databaseUrl, { max: 1, fetch_types: false, onnotice: () => {}, connection: { TimeZone: "UTC", ...SETTINGS } });
});
afterAll(async () => {
  await sql.end();
  await stack.stop();
});

test.for(readdirSync(CHECKS).filter((file) => file.endsWith(".sql")))("%s reads the rows of the accounts it is asked of", async (file) => {
  const query = ofAccounts(readFileSync(new URL(file, CHECKS), "utf8"));
  // The last by name: whoever walks an index of all accounts walks it to its end.
  const names = Array.from({ length: ASKED }, (_, i) => `acct_${String(ACCOUNTS - i).padStart(6, "0")}`);
  const parameters = ["2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z", `{${names.join(",")}}`];
  const [row] = await sql.unsafe<{ "QUERY PLAN": { Plan: Plan }[] }[]>(`explain (analyze, format json) ${query}`, parameters);
  const scans = row ? scansOf(row["QUERY PLAN"][0]?.Plan) : [];
  expect(scans.length).toBeGreaterThan(0);
  for (const scan of scans) expect(scan.rows, `${scan.type} of ${scan.table}`).toBeLessThanOrEqual(ASKED * ROWS_EACH);
});

function scansOf(plan: Plan | undefined): { type: string; table: string; rows: number }[] {
  if (!plan) return [];
  const { "Node Type": type, "Relation Name": table } = plan;
  const own =
    table === undefined
      ? []
      : [{ type, table, rows: (plan["Actual Rows"] + (plan["Rows Removed by Filter"] ?? 0)) * plan["Actual Loops"] }];
  return [...own, ...(plan.Plans ?? []).flatMap(scansOf)];
}
