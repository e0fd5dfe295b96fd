import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import type { Engine } from "../../engine.ts";
import { notFound, validationFailed } from "../../kernel/errors.ts";
import { iso } from "../../kernel/window.ts";
import { listNotifications } from "../../notifications/notification-store.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["notifications"];

const notificationSchema = z
  .object({
    id: z.string(),
    type: z.string(),
    createdAt: z.iso.datetime(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "Notification" });

/** What an account was told. */
export function notificationRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/notifications",
    ...allow("account", "read_only", "admin"),
    schema: {
      tags,
      summary: "What the account was told, newest first",
      description: "`id` is the `webhook-id` of the deliveries, and `data` what they carry.",
      querystring: pageQuerySchema,
      response: { 200: z.object({ notifications: z.array(notificationSchema), nextCursor: z.string().nullable() }) },
    },
    handler: async (request) => {
      const account = accountOf(request);
      const limit = pageLimit(request.query);
      const after = datedCursor(request.query.cursor);
      const found = await listNotifications(engine.walled, account, { after, limit: limit + 1 });
      if (found.length === 0) await requireAccount(engine, account);
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.createdAt, last.seq]));
      return { notifications: rows.map((row) => ({ ...row, createdAt: iso(row.createdAt) })), nextCursor };
    },
  });
}

/** The last instant a Date can hold. */
const INSTANT_MAX = 8.64e15;

/** The place in a list that is ordered by time, then by sequence; a forged one is refused before Postgres sees it. */
export function datedCursor(cursor: string | undefined): { createdAt: number; seq: number } | null {
  const parts = decodeCursor(cursor, 2);
  if (parts === null) return null;
  const [createdAt, seq] = parts;
  if (!Number.isSafeInteger(createdAt) || !Number.isSafeInteger(seq) || Math.abs(Number(createdAt)) > INSTANT_MAX)
    throw validationFailed([{ path: "cursor", message: "is not a cursor of this list" }]);
  return { createdAt: Number(createdAt), seq: Number(seq) };
}

/** Throws `not_found` for an account that does not exist: an empty list would say that it does. */
export async function requireAccount(engine: Engine, account: string): Promise<void> {
  if (!(await findAccount(engine.walled, account, engine.clock.now()))) throw notFound(`Account ${account}`);
}
