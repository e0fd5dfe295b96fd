import { readdirSync, readFileSync } from "node:fs";
import { WeirError } from "../kernel/errors.ts";
import { DAY_MS, iso } from "../kernel/window.ts";
import { runQuery, type Db } from "../stores/database.ts";

/** Rows shown of one check: enough to see what is wrong. */
const VIOLATIONS_MAX = 20;
/** How far back the ledger is looked at, in days: this billing month and the last one. What is older has been looked at before. */
const LOOK_BACK_DAYS = 62;

const CHECKS = new URL("../../sql/checks/", import.meta.url);

export interface CheckResult {
  /** The file's name in sql/checks. */
  check: string;
  /** The invariant, in one sentence. */
  says: string;
  /** At most 20 rows that violate it. */
  violations: Record<string, unknown>[];
  /** There are more than are shown. */
  more: boolean;
  /** False when Postgres took longer than a statement may: then nothing is known. */
  finished: boolean;
}

interface Check {
  name: string;
  says: string;
  text: string;
}

let loaded: Check[] | undefined;

/** Every check of sql/checks, read once. */
function checks(): Check[] {
  loaded ??= readdirSync(CHECKS)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .map((file) => {
      const text = readFileSync(new URL(file, CHECKS), "utf8");
      return { name: file.slice(0, -".sql".length), says: /^-- (.+)/.exec(text)?.[1] ?? "", text };
    });
  return loaded;
}

/** Runs every check against the database, one after the other: they are for quiet watching, not for haste. Throws when Postgres is away. */
export async function checkInvariants(db: Db, now: number): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks()) results.push(await run(db, check, now));
  return results;
}

async function run(db: Db, { name, says, text }: Check, now: number): Promise<CheckResult> {
  // All checks take both parameters, so that one that names only $2 can be prepared too.
  const query = `with given as (select $1::timestamptz, $2::timestamptz)
    select to_jsonb(v) as row from (${text}) v limit ${VIOLATIONS_MAX + 1}`;
  try {
    const rows = await runQuery<{ row: Record<string, unknown> }>(db, query, [iso(now - LOOK_BACK_DAYS * DAY_MS), iso(now)]);
    const violations = rows.slice(0, VIOLATIONS_MAX).map(({ row }) => row);
    return { check: name, says, violations, more: rows.length > VIOLATIONS_MAX, finished: true };
  } catch (error) {
    if (!isTimeLimit(error)) throw error;
    return { check: name, says, violations: [], more: false, finished: false };
  }
}

/** Violating accounts that are named; with more than this wrong it is not the accounts. */
const ACCOUNTS_NAMED_MAX = 10_000;

/**
 * Those of `accounts` that violate a check, each with the check's name and one row. What began before `from` is not looked at. Every check
 * answers the account of a row, and Postgres asks it of the given accounts alone. Throws `unavailable` where a check does not finish.
 */
export async function violatingAccounts(db: Db, accounts: readonly string[], from: number, now: number): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, text } of checks()) {
    const query = `with given as (select $1::timestamptz, $2::timestamptz)
      select distinct on (v.account) v.account, to_jsonb(v)::text as row from (${text}) v
      where v.account = any ($3::text[]) order by v.account limit ${ACCOUNTS_NAMED_MAX}`;
    const rows = await runQuery<{ account: string; row: string }>(db, query, [iso(from), iso(now), accounts]);
    for (const { account, row } of rows) if (!found.has(account)) found.set(account, `${name}: ${row}`);
  }
  return found;
}

const QUERY_CANCELED = "57014";

function isTimeLimit(error: unknown): boolean {
  const cause = error instanceof WeirError ? error.cause : error;
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === QUERY_CANCELED;
}
