import { sql, type Selectable } from "kysely";
import { newId } from "../kernel/ids.ts";
import { iso } from "../kernel/window.ts";
import type { CreditLeft } from "../rating/credits.ts";
import { loadQuery, reachPostgres, runQuery, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import {
  grantRequestText,
  GRANTS_IN_USE_MAX,
  newGrant,
  type CreditBurn,
  type CreditGrant,
  type CreditKind,
  type GrantRequest,
} from "./credit-grant.ts";

const CREDITS_LEFT = loadQuery("credits-left");

export type GrantOutcome = { outcome: "made" | "known"; id: string; sameRequest: boolean } | { outcome: "too_many" };

/** Grants credits, or finds the grant that the request's key made before. Null for an account that does not exist. */
export async function grantCredits(
  db: Db,
  account: string,
  request: GrantRequest,
  made: { by: string; now: number },
): Promise<GrantOutcome | null> {
  const text = grantRequestText(request);
  const grant = newGrant(request, made.now);
  const expiresAt = grant.expiresAt === null ? null : iso(grant.expiresAt);
  const { rows } = await reachPostgres(
    sql<{ outcome: "made" | "known" | "too_many"; id: string; request: string }>`
      select * from weir_grant_credits(${account}, ${newId("crg")}, ${grant.name}, ${grant.kind}, ${grant.currency},
        ${grant.amountUsdMicros}::bigint, ${grant.priority}::integer, ${iso(grant.effectiveAt)}::timestamptz, ${expiresAt}::timestamptz,
        ${grant.costBasis}::numeric, ${request.idempotencyKey}, ${text}, ${made.by}, ${GRANTS_IN_USE_MAX}::integer,
        ${iso(made.now)}::timestamptz)`.execute(db),
  );
  const [row] = rows;
  if (!row) return null;
  return row.outcome === "too_many" ? { outcome: row.outcome } : { outcome: row.outcome, id: row.id, sameRequest: row.request === text };
}

type Row = Selectable<Database["credit_grants"]> & { left: bigint };

const toGrant = (row: Row): CreditGrant => ({
  id: row.id,
  account: row.account,
  name: row.name,
  // A CHECK of the table holds it to that.
  kind: row.kind as CreditKind,
  currency: row.currency,
  amountUsdMicros: Number(row.amount),
  burnedUsdMicros: Number(row.amount - row.left),
  priority: row.priority,
  effectiveAt: row.effective_at.getTime(),
  expiresAt: row.expires_at?.getTime() ?? null,
  costBasis: row.cost_basis,
  madeBy: row.made_by,
  createdAt: row.created_at.getTime(),
  voidedAt: row.voided_at?.getTime() ?? null,
  seq: Number(row.seq),
});

/** At most `limit` grants of an account made before the one of `before` (its seq; null: from the newest), newest first. */
export async function listGrants(db: Db, account: string, before: number | null, limit: number): Promise<CreditGrant[]> {
  const { rows } = await reachPostgres(
    sql<Row>`
      select g.*, weir_credit_left(g.account, g.id) as "left" from credit_grants g
      where g.account = ${account} and (${before}::bigint is null or g.seq < ${before}::bigint)
      order by g.seq desc limit ${limit}`.execute(db),
  );
  return rows.map(toGrant);
}

/** The account's grant of that id; null where there is none. */
export async function findGrant(db: Db, account: string, id: string): Promise<CreditGrant | null> {
  const { rows } = await reachPostgres(
    sql<Row>`
      select g.*, weir_credit_left(g.account, g.id) as "left" from credit_grants g
      where g.account = ${account} and g.id = ${id}`.execute(db),
  );
  return rows[0] ? toGrant(rows[0]) : null;
}

/**
 * Voids a grant: what is left of it is not burned any more. One that is void already stays as it is; false where there is none. The account's
 * row is locked first, as where credits are granted: the triggers of both touch it, and one after the other in two orders was a deadlock.
 */
export async function voidGrant(db: Db, account: string, id: string, now: number): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ id: string }>`
      with voided as (
        update credit_grants set voided_at = ${iso(now)}::timestamptz
        where account = (select a.account from accounts a where a.account = ${account} for no key update)
          and id = ${id} and voided_at is null returning id
      )
      select id from credit_grants where account = ${account} and id = ${id}`.execute(db),
  );
  return rows.length > 0;
}

/** The newest `limit` entries of a grant's ledger, newest first. */
export async function listBurns(db: Db, account: string, grant: string, limit: number): Promise<CreditBurn[]> {
  const query = db.selectFrom("credit_burns").selectAll().where("account", "=", account).where("credit_grant", "=", grant);
  const rows = await reachPostgres(query.orderBy("seq", "desc").limit(limit).execute());
  return rows.map(({ invoice, amount, at }) => ({ invoice, amountUsdMicros: Number(amount), at: at.getTime() }));
}

/** What an account could burn now, by currency. */
export interface CreditBalance {
  currency: string;
  remainingUsdMicros: number;
}

/** What is left of an account's grants that are in force at `now`, by currency. */
export async function creditBalances(db: Db, account: string, now: number): Promise<CreditBalance[]> {
  const { rows } = await reachPostgres(
    sql<{ currency: string; left: string }>`
      select g.currency, sum(weir_credit_left(g.account, g.id))::text as "left" from credit_grants g
      where g.account = ${account} and g.voided_at is null and g.effective_at <= ${iso(now)}::timestamptz
        and (g.expires_at is null or g.expires_at > ${iso(now)}::timestamptz)
      group by g.currency order by g.currency`.execute(db),
  );
  return rows.map(({ currency, left }) => ({ currency, remainingUsdMicros: Number(left) }));
}

/** A billing month, by its account and its end (epoch ms). */
export interface MonthEnd {
  account: string;
  end: number;
}

/** For each month what is left of the grants that cover it: those in force at its end, less what drafts of earlier months will burn. */
export async function creditsLeft(db: Db, months: readonly MonthEnd[]): Promise<CreditLeft[][]> {
  const found = months.map((): CreditLeft[] => []);
  const rows = await runQuery<{
    tag: number;
    id: string;
    name: string;
    currency: string;
    priority: number;
    expires_at: Date | null;
    seq: bigint;
    amount: bigint;
    left: bigint;
  }>(db, CREDITS_LEFT, [months.map((_, tag) => tag), months.map(({ account }) => account), months.map(({ end }) => iso(end))]);
  for (const { tag, expires_at, seq, amount, left, ...grant } of rows)
    found[tag]?.push({
      ...grant,
      expiresAt: expires_at?.getTime() ?? null,
      seq: Number(seq),
      amountUsdMicros: amount,
      leftUsdMicros: left,
    });
  return found;
}
