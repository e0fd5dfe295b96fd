import { sql } from "kysely";
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
  last_used_at: Date | null;
  replaced_by: string | null;
}

const COLUMNS = [
  "id",
  "account",
  "scope",
  "name",
  "last_four",
  "created_at",
  "expires_at",
  "revoked_at",
  "last_used_at",
  "replaced_by",
] as const;

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
  lastUsedAt: row.last_used_at?.getTime() ?? null,
  replacedBy: row.replaced_by,
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

/** Why a key was not rotated. */
export type NotRotated = "unknown" | "ended" | "replaced";

/**
 * Makes a key that takes another's place: same account, scope and name, and a life as long as that one was given, from now on. The old one
 * works on for `overlapMs`, or to its own end where that is sooner. One statement: there is never a moment without a key, nor two rotations.
 */
export async function rotateKey(
  db: Db,
  account: string | null,
  id: string,
  overlapMs: number,
  now: number,
): Promise<(ApiKey & { key: string }) | NotRotated> {
  const old = await findKey(db, id);
  if (!old || old.account !== account) return "unknown";
  const minted = mintKey(old.scope);
  const { rows } = await reachPostgres(
    sql<Row>`
      with old as (
        update api_keys set replaced_by = ${minted.id}, expires_at = least(expires_at, ${iso(now + overlapMs)}::timestamptz)
        where id = ${id} and replaced_by is null and revoked_at is null and (expires_at is null or expires_at > ${iso(now)}::timestamptz)
        returning *
      )
      insert into api_keys (id, account, scope, name, secret_hash, last_four, created_at, expires_at)
      select ${minted.id}, account, scope, name, ${minted.hash}::bytea, ${minted.lastFour}, ${iso(now)}::timestamptz,
             ${old.expiresAt === null ? null : iso(now + old.expiresAt - old.createdAt)}::timestamptz
      from old
      returning *`.execute(db),
  );
  const [row] = rows;
  if (row) return { ...toKey(row), key: minted.key };
  const present = await findKey(db, id);
  return (present?.replacedBy ?? null) === null ? "ended" : "replaced";
}

/** A moment a key was used at. */
export interface KeyUse {
  id: string;
  at: number;
}

/** Writes down when keys were last used. Processes that have all seen a key within the minute write it once. */
export async function noteUses(db: Db, uses: readonly KeyUse[]): Promise<void> {
  await reachPostgres(
    sql`
      update api_keys k set last_used_at = u.at
      from unnest(${uses.map((u) => u.id)}::text[], ${uses.map((u) => iso(u.at))}::timestamptz[]) as u (id, at)
      where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at - interval '50 seconds')`.execute(db),
  );
}
