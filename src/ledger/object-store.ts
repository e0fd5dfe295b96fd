import { sql } from "kysely";
import { iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** Which object, of which account and gauge. */
export interface ObjectPlace {
  service: string;
  namespace: string;
  object: string;
}

/** The booked sizes of objects, in their order; 0 where nothing is booked. */
export async function objectLevels(db: Db, account: string, meter: string, places: readonly ObjectPlace[]): Promise<number[]> {
  if (places.length === 0) return [];
  const { rows } = await reachPostgres(
    sql<{ bytes: bigint | null }>`
      select o.bytes
      from unnest(${places.map((p) => p.service)}::text[], ${places.map((p) => p.namespace)}::text[], ${places.map((p) => p.object)}::text[])
        with ordinality as t (service, namespace, object, place)
      left join object_levels o
        on o.account = ${account} and o.meter = ${meter} and o.service = t.service and o.namespace = t.namespace and o.object = t.object
      order by t.place`.execute(db),
  );
  return rows.map((row) => Number(row.bytes ?? 0));
}

/** An object with what it stores and how often it was asked for in the billing month. */
export interface ListedObject extends ObjectPlace {
  bytes: number;
  requests: number;
  /** When its size changed last, epoch ms; null where nothing was ever stored. */
  changedAt: number | null;
}

export interface ObjectsQuery {
  account: string;
  meter: string;
  /** When the account's billing month began, epoch ms. */
  monthStart: number;
  service: string | null;
  namespace: string | null;
  /** `bytes`: objects that store anything, the largest first. `requests`: those that were asked for in the month, the busiest first. */
  by: "bytes" | "requests";
  /** The last object of the page before, and the figure it stood at. */
  after: (ObjectPlace & { figure: number }) | null;
  limit: number;
}

/** An account's objects, in order, as far as they are booked. */
export async function listObjects(db: Db, query: ObjectsQuery): Promise<ListedObject[]> {
  const { account, meter, monthStart, service, namespace, by, after, limit } = query;
  const inMonth = sql`r.month_start >= ${iso(monthStart)}::timestamptz`;
  const sameObject = sql`r.account = l.account and r.service = l.service and r.namespace = l.namespace and r.object = l.object`;
  const listed =
    by === "bytes"
      ? sql`select l.bytes as figure, l.service, l.namespace, l.object, l.bytes, coalesce(r.requests, 0) as requests, l.updated_at
            from object_levels l left join object_requests r on ${sameObject} and ${inMonth}
            where l.account = ${account} and l.meter = ${meter} and l.bytes > 0 and l.object <> ''`
      : sql`select r.requests as figure, r.service, r.namespace, r.object, coalesce(l.bytes, 0) as bytes, r.requests, l.updated_at
            from object_requests r left join object_levels l on ${sameObject} and l.meter = ${meter}
            where r.account = ${account} and ${inMonth}`;
  const following =
    after === null
      ? sql`true`
      : sql`(o.figure, o.service, o.namespace, o.object) < (${after.figure}::bigint, ${after.service}, ${after.namespace}, ${after.object})`;
  const { rows } = await reachPostgres(
    sql<{ service: string; namespace: string; object: string; bytes: bigint; requests: bigint; updated_at: Date | null }>`
      select o.service, o.namespace, o.object, o.bytes, o.requests, o.updated_at
      from (${listed}) o
      where (${service}::text is null or o.service = ${service}) and (${namespace}::text is null or o.namespace = ${namespace})
        and ${following}
      order by o.figure desc, o.service desc, o.namespace desc, o.object desc limit ${limit}`.execute(db),
  );
  return rows.map(({ bytes, requests, updated_at: changed, ...place }) => ({
    ...place,
    bytes: Number(bytes),
    requests: Number(requests),
    changedAt: changed?.getTime() ?? null,
  }));
}

/** Names of a namespace's objects that are booked as storing something, after `after`, in the order of their UTF-8 bytes. */
export async function bookedObjectNames(
  db: Db,
  where: { account: string; meter: string; service: string; namespace: string; after: string },
  limit: number,
): Promise<string[]> {
  const { rows } = await reachPostgres(
    sql<{ object: string }>`
      select o.object from object_levels o
      where o.account = ${where.account} and o.meter = ${where.meter} and o.service = ${where.service} and o.namespace = ${where.namespace}
        and o.bytes > 0 and o.object collate "C" > ${where.after}
      order by o.object collate "C" limit ${limit}`.execute(db),
  );
  return rows.map((row) => row.object);
}
