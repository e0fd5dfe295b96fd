import { sql } from "kysely";
import { z } from "zod";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import { billingTermsSchema, type BillingTermsDocument } from "./billing-terms.ts";

/** Puts terms into force from `now` on. Answers false where there is no such account. */
export async function putBillingTerms(db: Db, account: string, terms: BillingTermsDocument, now: number): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ account: string }>`
      insert into billing_terms (account, starts_at, terms, created_at)
      select a.account, ${iso(now)}::timestamptz, ${JSON.stringify(terms)}::text::jsonb, ${iso(now)}::timestamptz
      from accounts a where a.account = ${account}
      on conflict (account, starts_at) do update set terms = excluded.terms
      returning account`.execute(db),
  );
  return rows.length > 0;
}

/** The terms of each of `accounts` that has any, as they stood at its instant (epoch ms); for terms that cannot be read, the reason. */
export async function billingTermsAt(
  db: Db,
  accounts: readonly string[],
  instants: readonly number[],
): Promise<Map<string, BillingTermsDocument | Error>> {
  const { rows } = await reachPostgres(
    sql<{ account: string; terms: unknown }>`
      select w.account, t.terms
      from unnest(${accounts}::text[], ${instants.map(iso)}::timestamptz[]) as w (account, at)
      cross join lateral (
        select b.terms from billing_terms b where b.account = w.account and b.starts_at <= w.at order by b.starts_at desc limit 1
      ) t`.execute(db),
  );
  return new Map(rows.map((row) => [row.account, read(row.terms)]));
}

/** One account's terms that nobody can read are that account's trouble, not that of all that are asked for with it. */
function read(terms: unknown): BillingTermsDocument | Error {
  const { data, error } = billingTermsSchema.safeParse(terms);
  return data ?? new Error(`billing terms that cannot be read: ${z.prettifyError(error)}`);
}
