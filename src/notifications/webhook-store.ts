import { sql, type Selectable } from "kysely";
import { newId } from "../kernel/ids.ts";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Database } from "../stores/schema.ts";
import { mintSecret } from "./signature.ts";
import { WEBHOOKS_MAX, type Webhook } from "./webhook.ts";

type Row = Omit<Selectable<Database["webhooks"]>, "secret" | "previous_secret">;

const COLUMNS = [
  "account",
  "id",
  "url",
  "events",
  "description",
  "previous_secret_until",
  "first_failure_at",
  "paused_until",
  "disabled_at",
  "disabled_reason",
  "created_at",
] as const;

const toWebhook = (row: Row): Webhook => ({
  id: row.id,
  url: row.url,
  events: row.events,
  description: row.description,
  createdAt: row.created_at.getTime(),
  disabledAt: row.disabled_at?.getTime() ?? null,
  // The CHECK on the table holds the column to these.
  disabledReason: row.disabled_reason as Webhook["disabledReason"],
  firstFailureAt: row.first_failure_at?.getTime() ?? null,
  previousSecretUntil: row.previous_secret_until?.getTime() ?? null,
});

/** Registers an endpoint; null when the account has all it may have. The secret is in no other answer. */
export async function createWebhook(
  db: Db,
  account: string,
  wanted: { url: string; events: readonly string[]; description: string | null },
  now: number,
): Promise<{ webhook: Webhook; secret: Buffer } | null> {
  const secret = mintSecret();
  const { rows } = await reachPostgres(
    sql<Row>`
      insert into webhooks (account, id, url, events, description, secret, created_at)
      select ${account}, ${newId("wh")}, ${wanted.url}, ${wanted.events}::text[], ${wanted.description}, ${secret}::bytea, ${iso(now)}::timestamptz
      where (select count(*) from webhooks where account = ${account}) < ${WEBHOOKS_MAX}
      returning *`.execute(db),
  );
  const [row] = rows;
  return row ? { webhook: toWebhook(row), secret } : null;
}

/** Endpoints of any account that are out of use, the latest first. */
export async function disabledWebhooks(db: Db, limit: number): Promise<(Webhook & { account: string })[]> {
  const rows = await reachPostgres(
    db
      .selectFrom("webhooks")
      .select(COLUMNS)
      .where("disabled_at", "is not", null)
      .orderBy("disabled_at", "desc")
      .orderBy("id")
      .limit(limit)
      .execute(),
  );
  return rows.map((row) => ({ ...toWebhook(row), account: row.account }));
}

/** A page of an account's endpoints, newest first. */
export async function listWebhooks(
  db: Db,
  account: string,
  page: { after: { createdAt: number; id: string } | null; limit: number },
): Promise<Webhook[]> {
  let query = db
    .selectFrom("webhooks")
    .select(COLUMNS)
    .where("account", "=", account)
    .orderBy("created_at", "desc")
    .orderBy("id")
    .limit(page.limit);
  const { after } = page;
  if (after) {
    const at = new Date(after.createdAt);
    query = query.where((e) => e.or([e("created_at", "<", at), e.and([e("created_at", "=", at), e("id", ">", after.id)])]));
  }
  return (await reachPostgres(query.execute())).map(toWebhook);
}

/** One endpoint of an account; null where the account has none of that id. */
export async function findWebhook(db: Db, account: string, id: string): Promise<Webhook | null> {
  const row = await reachPostgres(
    db.selectFrom("webhooks").select(COLUMNS).where("account", "=", account).where("id", "=", id).executeTakeFirst(),
  );
  return row ? toWebhook(row) : null;
}

/** Removes an endpoint with its deliveries and their log; false when there is none. */
export async function deleteWebhook(db: Db, account: string, id: string): Promise<boolean> {
  const gone = await reachPostgres(db.deleteFrom("webhooks").where("account", "=", account).where("id", "=", id).executeTakeFirst());
  return gone.numDeletedRows > 0n;
}

/** Gives an endpoint a new secret; the present one signs beside it until `previousUntil`. Null when there is no such endpoint. */
export async function rotateSecret(
  db: Db,
  account: string,
  id: string,
  previousUntil: number,
): Promise<{ webhook: Webhook; secret: Buffer } | null> {
  const secret = mintSecret();
  const row = await reachPostgres(
    db
      .updateTable("webhooks")
      .set((e) => ({ secret, previous_secret: e.ref("secret"), previous_secret_until: new Date(previousUntil) }))
      .where("account", "=", account)
      .where("id", "=", id)
      .returning(COLUMNS)
      .executeTakeFirst(),
  );
  return row ? { webhook: toWebhook(row), secret } : null;
}

/** Takes an endpoint into use again, as if it had never failed; what waited for it is due. Null when there is none. */
export async function enableWebhook(db: Db, account: string, id: string): Promise<Webhook | null> {
  const row = await reachPostgres(
    db
      .updateTable("webhooks")
      .set({ disabled_at: null, disabled_reason: null, first_failure_at: null, paused_until: null })
      .where("account", "=", account)
      .where("id", "=", id)
      .returning(COLUMNS)
      .executeTakeFirst(),
  );
  return row ? toWebhook(row) : null;
}
