import { z } from "zod";
import { listAudit, listChains } from "../../audit/audit-store.ts";
import type { Engine } from "../../engine.ts";
import { validationFailed } from "../../kernel/errors.ts";
import { ACCOUNT_PATTERN } from "../../kernel/ids.ts";
import type { App } from "../app.ts";
import { allow } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const tags = ["audit"];
const account = z.string().nullable().describe("The account it is about; null for what is about none.");
const number = z.int().describe("Its place among the entries about the account, from 1 on, without gaps.");

const entrySchema = z
  .object({
    account,
    number,
    at: z.iso.datetime(),
    actor: z.string().describe("The key that asked; `operator` for the operator's own, `weir` where nobody asked."),
    scope: z.string(),
    operation: z.string().describe("What was asked for: an operationId of this document."),
    action: z.string().describe("What was done: `<table>.<insert|update|delete>`, or the operation."),
    target: z.string(),
    detail: z.string().describe("What changed, as JSON text: it is hashed as it stands. Secrets and texts of people are named, not shown."),
    previousHash: z.string().describe("The hash of the entry before it, hex; empty for the first."),
    hash: z.string().describe("SHA-256 over every member with its length before it, hex."),
  })
  .meta({ id: "AuditEntry" });
const auditSchema = z.object({ entries: z.array(entrySchema), nextCursor: z.string().nullable() });
const chainsSchema = z.object({ chains: z.array(z.object({ account, number, hash: z.string() })), nextCursor: z.string().nullable() });

const auditQuery = pageQuerySchema.extend({
  account: z.string().regex(ACCOUNT_PATTERN).optional(),
  actor: z
    .string()
    .regex(/^(?:key_[0-9A-Za-z]{20}|operator|weir)$/)
    .optional(),
  order: z.enum(["newest", "oldest"]).default("newest"),
});

/** Who did what to which account. */
export function auditRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/audit",
    ...allow("admin"),
    schema: {
      tags,
      summary: "Who did what to which account, newest first unless told",
      description: "`weir audit verify` checks it, `weir audit export` writes it out. Entries are kept for good.",
      querystring: auditQuery,
      response: { 200: auditSchema },
    },
    handler: async ({ query }) => {
      const limit = pageLimit(query);
      const after = placeIn(query.cursor);
      const { account: about, actor, order } = query;
      const page = { account: about, actor, oldestFirst: order === "oldest", after, limit: limit + 1 };
      const { rows, nextCursor } = pageOf(await listAudit(engine.walled, page), limit, (last) => encodeCursor([last.seq]));
      return { entries: rows, nextCursor };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/audit/chains",
    ...allow("admin"),
    schema: {
      tags,
      summary: "The last entry about each account: note it elsewhere, and nobody can rewrite what was before",
      querystring: pageQuerySchema,
      response: { 200: chainsSchema },
    },
    handler: async ({ query }) => {
      const limit = pageLimit(query);
      const after = decodeCursor(query.cursor, 1);
      const found = await listChains(engine.walled, { after: after === null ? null : String(after[0]), limit: limit + 1 });
      const { rows, nextCursor } = pageOf(found, limit, (last) => encodeCursor([last.account ?? ""]));
      return { chains: rows, nextCursor };
    },
  });
}

function placeIn(cursor: string | undefined): number | null {
  const place = decodeCursor(cursor, 1)?.[0];
  if (place === undefined) return null;
  if (!Number.isSafeInteger(place)) throw validationFailed([{ path: "cursor", message: "is not a cursor of this list" }]);
  return Number(place);
}
