import { reachPostgres, type Db } from "../stores/database.ts";
import type { Namespace } from "./namespace.ts";

/** The account's live namespaces from number `from` on, oldest first, of one service or of all. */
export async function namespacesFrom(db: Db, account: string, service: string | null, from: number, limit: number): Promise<Namespace[]> {
  const query = db
    .selectFrom("state_namespaces")
    .select(["account", "number", "service", "name", "created_at"])
    .where("account", "=", account)
    .where("number", ">=", BigInt(from))
    .where("deleted_at", "is", null)
    .orderBy("number")
    .limit(limit);
  const rows = await reachPostgres((service === null ? query : query.where("service", "=", service)).execute());
  return rows.map((row) => ({ ...row, number: Number(row.number), createdAt: row.created_at.getTime() }));
}
