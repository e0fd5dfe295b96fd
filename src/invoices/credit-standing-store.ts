import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";

const CREDIT_ACCOUNTS = loadQuery("credit-accounts");

/** An account whose credits are looked at, and the round of what it was told (0: nothing yet). */
export interface CreditAccount {
  account: string;
  round: bigint;
  /** The level it was told of: 0 well, 1 low, 2 exhausted. */
  level: number;
}

/** At most `limit` accounts after `after` whose credits may have something to tell, by name. */
export const creditAccounts = (db: Db, after: string, now: number, limit: number): Promise<CreditAccount[]> =>
  runQuery<CreditAccount>(db, CREDIT_ACCOUNTS, [after, iso(now), limit]);

/** Takes note of a level and tells of each that it rose to, once (weir_tell_credits). Answers how many were told now. */
export async function tellCredits(
  db: Db,
  { account, round }: CreditAccount,
  level: number,
  data: Readonly<Record<string, unknown>>,
  now: number,
): Promise<number> {
  const { rows } = await reachPostgres(
    sql<{ told: number }>`
      select weir_tell_credits(${account}, ${round}::bigint, ${level}::integer, ${JSON.stringify(data)}::text::jsonb, ${iso(now)}::timestamptz) as told`.execute(
      db,
    ),
  );
  return rows[0]?.told ?? 0;
}
