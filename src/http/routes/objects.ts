import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import { findPlan } from "../../catalog/catalog.ts";
import { STORAGE_METER, type Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { NAMESPACE_PATTERN, SERVICE_PATTERN } from "../../kernel/ids.ts";
import { percentOf } from "../../kernel/quantity.ts";
import { iso } from "../../kernel/window.ts";
import { sizedObjects, type ObjectsQuery, type SizedObject } from "../../ledger/object-store.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { decodeCursor, encodeCursor, pageLimit, pageOf, pageQuerySchema } from "../page.ts";

const objectSchema = z.object({
  service: z.string(),
  namespace: z.string(),
  object: z.string(),
  storageBytes: z.int(),
  ceilingBytes: z.int().nullable(),
  percent: z.number().nullable(),
  changedAt: z.iso.datetime(),
});

const query = pageQuerySchema.extend({
  service: z.string().regex(SERVICE_PATTERN).optional(),
  namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
  sort: z.enum(["storage", "requests"]).default("storage"),
});

/** Which objects store most. */
export function objectRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/usage/objects",
    ...allow("account", "read_only", "admin", "data_plane"),
    schema: {
      tags: ["usage"],
      summary: "The account's objects with the bytes they store and their ceiling, the largest first",
      description:
        "Requests are counted by service and namespace, not by object: `sort=requests` orders by the last change of size instead, and `sortedBy` says so.",
      querystring: query,
      response: {
        200: z.object({ objects: z.array(objectSchema), sortedBy: z.enum(["storage", "lastChange"]), nextCursor: z.string().nullable() }),
      },
    },
    handler: async (request) => {
      const { service, namespace, sort, cursor } = request.query;
      const account = accountOf(request);
      const found = await findAccount(engine.walled, account, engine.clock.now());
      if (!found) throw notFound(`Account ${account}`);
      const ceilingBytes = findPlan(engine.catalog, found.plan)?.ceilings["stateSqliteStorageBytesPerObject"] ?? null;
      const by = sort === "storage" ? "bytes" : "change";
      const limit = pageLimit(request.query);
      // Sizes are answered from the ledger: it must hold every answered check first.
      await engine.bookAccount(account);
      const where = { account, meter: STORAGE_METER, service: service ?? null, namespace: namespace ?? null };
      const objects = await sizedObjects(engine.walled, { ...where, by, after: afterOf(cursor), limit: limit + 1 });
      const { rows, nextCursor } = pageOf(objects, limit, (last) => encodeCursor(cursorParts(last, by)));
      return {
        objects: rows.map((o) => toAnswer(o, ceilingBytes)),
        sortedBy: sort === "storage" ? ("storage" as const) : ("lastChange" as const),
        nextCursor,
      };
    },
  });
}

const cursorParts = (o: SizedObject, by: ObjectsQuery["by"]): (string | number)[] => [
  by === "bytes" ? o.bytes : o.changedAt,
  o.service,
  o.namespace,
  o.object,
];

function afterOf(cursor: string | undefined): ObjectsQuery["after"] {
  const parts = decodeCursor(cursor, 4);
  if (parts === null) return null;
  const figure = Number(parts[0]);
  return {
    figure: Number.isSafeInteger(figure) ? figure : 0,
    service: String(parts[1]),
    namespace: String(parts[2]),
    object: String(parts[3]),
  };
}

const toAnswer = (
  { service, namespace, object, bytes, changedAt }: SizedObject,
  ceilingBytes: number | null,
): z.infer<typeof objectSchema> => ({
  service,
  namespace,
  object,
  storageBytes: bytes,
  ceilingBytes,
  percent: percentOf(bytes, ceilingBytes),
  changedAt: iso(changedAt),
});
