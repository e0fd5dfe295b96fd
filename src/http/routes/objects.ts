import { z } from "zod";
import { findAccount } from "../../accounts/account-store.ts";
import { findPlan } from "../../catalog/catalog.ts";
import { STORAGE_METER, type Engine } from "../../engine.ts";
import { notFound } from "../../kernel/errors.ts";
import { NAMESPACE_PATTERN, SERVICE_PATTERN } from "../../kernel/ids.ts";
import { percentOf } from "../../kernel/quantity.ts";
import { iso, monthWindow } from "../../kernel/window.ts";
import { listObjects, type ListedObject, type ObjectsQuery } from "../../ledger/object-store.ts";
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
  requests: z.int(),
  changedAt: z.iso.datetime().nullable(),
});

const query = pageQuerySchema.extend({
  service: z.string().regex(SERVICE_PATTERN).optional(),
  namespace: z.string().regex(NAMESPACE_PATTERN).optional(),
  sort: z.enum(["storage", "requests"]).default("storage"),
});

/** Which objects store most, and which are asked for most. */
export function objectRoutes(app: App, engine: Engine): void {
  app.route({
    method: "GET",
    url: "/v1/usage/objects",
    ...allow("account", "read_only", "admin", "data_plane"),
    schema: {
      tags: ["usage"],
      summary: "The account's objects with the bytes they store, their ceiling and their requests, the largest or the busiest first",
      description:
        "`sort=storage`: objects that store anything, the largest first. `sort=requests`: objects that were asked for in this billing month, the busiest first. `requests` are the `state_requests` of this month whose check, settlement or event named the object; what is spent out of a lease names none. They are a statistic, by which nothing is billed: what other processes counted within the last half minute may be missing. `changedAt` is the last change of size, null where nothing was ever stored.",
      querystring: query,
      response: {
        200: z.object({ objects: z.array(objectSchema), sortedBy: z.enum(["storage", "requests"]), nextCursor: z.string().nullable() }),
      },
    },
    handler: async (request) => {
      const { service, namespace, sort, cursor } = request.query;
      const account = accountOf(request);
      const now = engine.clock.now();
      const found = await findAccount(engine.walled, account, now);
      if (!found) throw notFound(`Account ${account}`);
      const ceilingBytes = findPlan(engine.catalog, found.plan)?.ceilings["stateSqliteStorageBytesPerObject"] ?? null;
      const by = sort === "storage" ? "bytes" : "requests";
      const limit = pageLimit(request.query);
      // The ledger answers: it must hold every answered check first.
      await Promise.all([engine.bookAccount(account), engine.objectRequests.book(now)]);
      const where = { account, meter: STORAGE_METER, service: service ?? null, namespace: namespace ?? null };
      const monthStart = monthWindow(now, found.calendar).start;
      const objects = await listObjects(engine.reads, { ...where, monthStart, by, after: afterOf(cursor), limit: limit + 1 });
      const { rows, nextCursor } = pageOf(objects, limit, (last) => encodeCursor(cursorParts(last, by)));
      return {
        objects: rows.map((o) => toAnswer(o, ceilingBytes)),
        sortedBy: sort,
        nextCursor,
      };
    },
  });
}

const cursorParts = (o: ListedObject, by: ObjectsQuery["by"]): (string | number)[] => [o[by], o.service, o.namespace, o.object];

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
  { service, namespace, object, bytes, requests, changedAt }: ListedObject,
  ceilingBytes: number | null,
): z.infer<typeof objectSchema> => ({
  service,
  namespace,
  object,
  storageBytes: bytes,
  ceilingBytes,
  percent: percentOf(bytes, ceilingBytes),
  requests,
  changedAt: changedAt === null ? null : iso(changedAt),
});
