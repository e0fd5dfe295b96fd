import { readdirSync, readFileSync } from "node:fs";
import { monotonicMs, sleep } from "../kernel/clock.ts";
import { WeirError } from "../kernel/errors.ts";
import { DAY_MS, iso } from "../kernel/window.ts";
import { reachPostgres, runQuery, type Db } from "../stores/database.ts";

/** Rows shown of one check: enough to see what is wrong. */
const VIOLATIONS_MAX = 20;
/** How far back the ledger is looked at, in days: this billing month and the last one. What is older has been looked at before. */
const LOOK_BACK_DAYS = 62;

/** Accounts asked about in one statement: of a million at once three of the checks took longer than a statement may. */
const ACCOUNTS_AT_ONCE = 2_000;
/** Between two of many statements, in times of how long the last one took; at most this long. So a core's tenth goes to them by night, not all of it. */
const REST_FACTOR = 9;
const REST_MS_MAX = 5_000;

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

export interface CheckOptions {
  /** By night: rests between the statements of a large ledger. */
  gently?: boolean;
  accountsAtOnce?: number;
}

/** Runs every check against the database, one after the other: they are for quiet watching, not for haste. Throws when Postgres is away. */
export async function checkInvariants(db: Db, now: number, { gently = false, accountsAtOnce = ACCOUNTS_AT_ONCE }: CheckOptions = {}) {
  const slices = await slicesOf(db, accountsAtOnce);
  const rest = gently && slices.length > 1 ? REST_FACTOR : 0;
  const results: CheckResult[] = [];
  for (const check of checks()) results.push(await run(db, check, { slices, rest }, now));
  return results;
}

/** Rows that a check is asked for: SQL over its answer `v`, with parameters from $3 on. */
interface Slice {
  where: string;
  parameters: readonly string[];
}

const WHOLE: Slice = { where: "true", parameters: [] };

/** All rows there can be, by account: also of accounts that are not known, and of none. */
async function slicesOf(db: Db, accountsAtOnce: number): Promise<Slice[]> {
  const edges: string[] = [];
  for (let edge: string | undefined = ""; edge !== undefined;) {
    const next: { account: string } | undefined = await reachPostgres(
      db
        .selectFrom("accounts")
        .select("account")
        .where("account", ">", edge)
        .orderBy("account")
        .offset(accountsAtOnce - 1)
        .limit(1)
        .executeTakeFirst(),
    );
    edge = next?.account;
    if (edge !== undefined) edges.push(edge);
  }
  const last = edges.at(-1);
  if (last === undefined) return [WHOLE];
  return [
    { where: "v.account is null", parameters: [] },
    ...edges.map((edge, i): Slice => {
      const before = edges[i - 1];
      if (before === undefined) return { where: "v.account <= $3", parameters: [edge] };
      return { where: "v.account > $3 and v.account <= $4", parameters: [before, edge] };
    }),
    { where: "v.account > $3", parameters: [last] },
  ];
}

async function run(
  db: Db,
  { name, says, text }: Check,
  { slices, rest }: { slices: readonly Slice[]; rest: number },
  now: number,
): Promise<CheckResult> {
  const found: Record<string, unknown>[] = [];
  let finished = true;
  for (const { where, parameters } of slices) {
    // All checks take both parameters, so that one that names only $2 can be prepared too.
    const query = `with given as (select $1::timestamptz, $2::timestamptz)
      select to_jsonb(v) as row from (${text}) v where ${where} limit ${VIOLATIONS_MAX + 1}`;
    const began = monotonicMs();
    try {
      const from = iso(now - LOOK_BACK_DAYS * DAY_MS);
      const rows = await runQuery<{ row: Record<string, unknown> }>(db, query, [from, iso(now), ...parameters]);
      found.push(...rows.map(({ row }) => row));
    } catch (error) {
      if (!isTimeLimit(error)) throw error;
      finished = false;
    }
    if (!finished || found.length > VIOLATIONS_MAX) break;
    if (rest > 0) await sleep(Math.min(REST_MS_MAX, rest * (monotonicMs() - began)));
  }
  return { check: name, says, violations: found.slice(0, VIOLATIONS_MAX), more: found.length > VIOLATIONS_MAX, finished };
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
    const rows = await runQuery<{ account: string; row: string }>(db, ofAccounts(text), [iso(from), iso(now), accounts]);
    for (const { account, row } of rows) if (!found.has(account)) found.set(account, `${name}: ${row}`);
  }
  return found;
}

/** A check, asked of the accounts of $3: SQL that answers one row of each that violates it. */
export const ofAccounts = (text: string): string => `with given as (select $1::timestamptz, $2::timestamptz)
  select distinct on (v.account) v.account, to_jsonb(v)::text as row from (${text}) v
  where v.account = any ($3::text[]) order by v.account limit ${ACCOUNTS_NAMED_MAX}`;

const QUERY_CANCELED = "57014";

function isTimeLimit(error: unknown): boolean {
  const cause = error instanceof WeirError ? error.cause : error;
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === QUERY_CANCELED;
}
