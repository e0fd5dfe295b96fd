import { sql } from "kysely";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { AuditEntry, ChainHead } from "./entry.ts";

/** A part of the log, in the order in which it was written, or against it. */
export interface AuditPage {
  /** Only entries about this account, or made by this key. */
  account?: string | undefined;
  actor?: string | undefined;
  oldestFirst: boolean;
  /** Begins after this place in the log. */
  after: number | null;
  limit: number;
}

/** An entry with its place in the whole log. */
export type PlacedEntry = AuditEntry & { seq: number };

/** At most `limit` entries behind `after`, each with its place in the list. */
export async function listAudit(db: Db, { account, actor, oldestFirst, after, limit }: AuditPage): Promise<PlacedEntry[]> {
  let query = db.selectFrom("audit_log").selectAll().limit(limit);
  query = query.orderBy("seq", oldestFirst ? "asc" : "desc");
  if (account !== undefined) query = query.where("account", "=", account);
  if (actor !== undefined) query = query.where("actor", "=", actor);
  if (after !== null) query = query.where("seq", oldestFirst ? ">" : "<", BigInt(after));
  const rows = await reachPostgres(query.execute());
  return rows.map((row) => ({
    seq: Number(row.seq),
    account: row.account === "" ? null : row.account,
    number: Number(row.number),
    at: row.at.toISOString(),
    actor: row.actor,
    scope: row.scope,
    operation: row.operation,
    action: row.action,
    target: row.target,
    detail: row.detail,
    previousHash: row.previous.toString("hex"),
    hash: row.hash.toString("hex"),
  }));
}

/** Where each chain stands, by account, from the one after `after` on. */
export async function listChains(db: Db, page: { after: string | null; limit: number }): Promise<ChainHead[]> {
  const query = db.selectFrom("audit_heads").selectAll().orderBy("account").limit(page.limit);
  const rows = await reachPostgres((page.after === null ? query : query.where("account", ">", page.after)).execute());
  return rows.map((row) => ({
    account: row.account === "" ? null : row.account,
    number: Number(row.number),
    hash: row.hash.toString("hex"),
  }));
}

/** Appends an entry for what moved no row that is watched. Who asked is whoever sent the present request. */
export async function appendAudit(db: Db, account: string | null, action: string, target: string, detail: object): Promise<void> {
  await reachPostgres(sql`select weir_audit(${account ?? ""}, ${action}, ${target}, ${JSON.stringify(detail)}::text::jsonb)`.execute(db));
}
