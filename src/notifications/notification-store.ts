import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Notification, NotificationData, NotificationType } from "./notification.ts";

/**
 * Says something to an account, once for each `dedupeKey` (1–512 characters): the notification and its deliveries to webhooks and
 * mailbox in one statement. Answers whether it was new. Within a longer statement, call `weir_notify` in it.
 */
export async function notify(
  db: Db,
  account: string,
  dedupeKey: string,
  type: NotificationType,
  data: NotificationData,
  now: number,
): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ fresh: boolean }>`
      select weir_notify(${account}, ${dedupeKey}, ${type}, ${JSON.stringify(data)}::text::jsonb, ${iso(now)}::timestamptz) as fresh`.execute(
      db,
    ),
  );
  return rows[0]?.fresh ?? false;
}

/** Where a page of notifications begins: after this one, which is newer. */
export interface NotificationPosition {
  createdAt: number;
  seq: number;
}

/** At most `limit` notifications of an account, newest first, each with its place in the list. */
export async function listNotifications(
  db: Db,
  account: string,
  page: { after: NotificationPosition | null; limit: number },
): Promise<(Notification & { seq: number })[]> {
  let query = db
    .selectFrom("notifications")
    .select(["id", "seq", "type", "data", "created_at"])
    .where("account", "=", account)
    .orderBy("created_at", "desc")
    .orderBy("seq", "desc")
    .limit(page.limit);
  const { after } = page;
  if (after) {
    const at = new Date(after.createdAt);
    query = query.where((e) => e.or([e("created_at", "<", at), e.and([e("created_at", "=", at), e("seq", "<", BigInt(after.seq))])]));
  }
  return (await reachPostgres(query.execute())).map((row) => ({
    id: row.id,
    seq: Number(row.seq),
    type: row.type,
    // weir_notify makes an object of every notification's data.
    data: row.data as NotificationData,
    createdAt: row.created_at.getTime(),
  }));
}
