import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** What credits cover of each meter's month, by meter: base quantities its counter may come to. */
export type CreditLimits = ReadonlyMap<string, number>;

/** Of which month (its start, epoch ms) and plan. */
export interface CreditLimitsOf {
  account: string;
  monthStart: number;
  plan: string;
}

/** The limits that stand for this month and plan; none where they are of another one. */
export async function creditLimits(db: Db, { account, monthStart, plan }: CreditLimitsOf): Promise<CreditLimits> {
  const query = db.selectFrom("credit_limits").select("quantities").where("account", "=", account).where("plan", "=", plan);
  const row = await reachPostgres(query.where("month_start", "=", new Date(monthStart)).executeTakeFirst());
  // Written by `putCreditLimits` alone.
  return new Map(Object.entries((row?.quantities ?? {}) as Record<string, number>));
}

/** Puts limits into force that were reckoned under `version`; false where limits, grants or the plan have changed meanwhile. */
export async function putCreditLimits(
  db: Db,
  { account, monthStart, plan }: CreditLimitsOf,
  version: number,
  limits: CreditLimits,
): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql`select * from weir_put_credit_limits(${account}, ${version}::bigint, ${iso(monthStart)}::timestamptz, ${plan},
      ${JSON.stringify(Object.fromEntries(limits))}::text::jsonb)`.execute(db),
  );
  return rows.length > 0;
}
