import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import { mintKey, type ApiKey, type Scope } from "./api-key.ts";

interface Row {
  id: string;
  account: string | null;
  scope: string;
  name: string | null;
  last_four: string;
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
}

const COLUMNS = ["id", "account", "scope", "name", "last_four", "created_at", "expires_at", "revoked_at"] as const;

const toKey = (row: Row): ApiKey => ({
  id: row.id,
  account: row.account,
  // A CHECK of the table holds the column to the four scopes.
  scope: row.scope as Scope,
  name: row.name,
  lastFour: row.last_four,
  createdAt: row.created_at.getTime(),
  expiresAt: row.expires_at?.getTime() ?? null,
  revokedAt: row.revoked_at?.getTime() ?? null,
});

export interface NewKey {
  account: string | null;
  scope: Scope;
  name: string | null;
  expiresAt: number | null;
}

/** Creates a key. `key` is the secret; it is in no other answer, ever. */
export async function createKey(db: Db, wanted: NewKey, now: number): Promise<ApiKey & { key: string }> {
  const minted = mintKey(wanted.scope);
  const row = await reachPostgres(
    db
      .insertInto("api_keys")
      .values({
        id: minted.id,
        account: wanted.account,
        scope: wanted.scope,
        name: wanted.name,
        secret_hash: minted.hash,
        last_four: minted.lastFour,
        created_at: iso(now),
        expires_at: wanted.expiresAt === null ? null : iso(wanted.expiresAt),
        revoked_at: null,
      })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow(),
  );
  return { ...toKey(row), key: minted.key };
}

/** A page of an account's keys (`account` null: the operator's), newest first, revoked ones too. */
export async function listKeys(
  db: Db,
  account: string | null,
  page: { before: { createdAt: number; id: string } | null; limit: number },
): Promise<ApiKey[]> {
  let query = db.selectFrom("api_keys").select(COLUMNS).orderBy("created_at", "desc").orderBy("id").limit(page.limit);
  query = account === null ? query.where("account", "is", null) : query.where("account", "=", account);
  const { before } = page;
  if (before) {
    const at = new Date(before.createdAt);
    query = query.where((e) => e.or([e("created_at", "<", at), e.and([e("created_at", "=", at), e("id", ">", before.id)])]));
  }
  return (await reachPostgres(query.execute())).map(toKey);
}

/** Revokes a key; false when there is no such key of that account. Revoking twice is one revocation. */
export async function revokeKey(db: Db, account: string | null, id: string, now: number): Promise<boolean> {
  let query = db
    .updateTable("api_keys")
    .set((e) => ({ revoked_at: e.fn.coalesce("revoked_at", e.val(new Date(now))) }))
    .where("id", "=", id);
  query = account === null ? query.where("account", "is", null) : query.where("account", "=", account);
  const result = await reachPostgres(query.executeTakeFirst());
  return result.numUpdatedRows > 0n;
}

/** The key of that id with its hash, to be compared in constant time. */
export async function findKey(db: Db, id: string): Promise<(ApiKey & { hash: Buffer }) | null> {
  const row = await reachPostgres(
    db
      .selectFrom("api_keys")
      .select([...COLUMNS, "secret_hash"])
      .where("id", "=", id)
      .executeTakeFirst(),
  );
  return row ? { ...toKey(row), hash: row.secret_hash } : null;
}
