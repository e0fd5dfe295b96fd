import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** What earlier invoices leave to one, by currency, in micro-units: above zero is owed to the account. */
export type Balances = ReadonlyMap<string, bigint>;

/** What the invoices of months before each of `ends` have carried and not used up, in their order; drafts count as they stand. */
export async function balancesBefore(db: Db, ends: readonly { account: string; end: number }[]): Promise<Balances[]> {
  const found = ends.map(() => new Map<string, bigint>());
  const { rows } = await reachPostgres(
    sql<{ tag: number; currency: string; balance: bigint }>`
      select w.tag, b.currency, b.balance
      from unnest(${ends.map((_, tag) => tag)}::int[], ${ends.map(({ account }) => account)}::text[],
                  ${ends.map(({ end }) => iso(end))}::timestamptz[]) as w (tag, account, month_end)
      cross join lateral (
        select i.currency, sum(i.carried)::bigint as balance from invoices i
        where i.account = w.account and i.period_end < w.month_end and i.carried <> 0 and i.state <> 'void'
        group by i.currency
      ) b`.execute(db),
  );
  for (const { tag, currency, balance } of rows) if (balance !== 0n) found[tag]?.set(currency, balance);
  return found;
}
