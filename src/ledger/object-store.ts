import { sql } from "kysely";
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

/** An object's booked size. `changedAt` is epoch ms. */
export interface SizedObject extends ObjectPlace {
  bytes: number;
  changedAt: number;
}

export interface ObjectsQuery {
  account: string;
  meter: string;
  service: string | null;
  namespace: string | null;
  /** `bytes`: the largest first. `change`: the one that changed last first. */
  by: "bytes" | "change";
  /** The last object of the page before, and the figure it stood at (bytes, or epoch ms). */
  after: (ObjectPlace & { figure: number }) | null;
  limit: number;
}

/** Objects that store anything, in order. */
export async function sizedObjects(db: Db, query: ObjectsQuery): Promise<SizedObject[]> {
  const { account, meter, service, namespace, by, after, limit } = query;
  // Whole milliseconds: a cursor in microseconds would not survive the way through JavaScript's dates.
  const figure = by === "bytes" ? sql`o.bytes` : sql`floor(extract(epoch from o.updated_at) * 1000)::bigint`;
  const from =
    after === null
      ? sql`true`
      : sql`(${figure}, o.service, o.namespace, o.object) < (${after.figure}::bigint, ${after.service}, ${after.namespace}, ${after.object})`;
  const { rows } = await reachPostgres(
    sql<{ service: string; namespace: string; object: string; bytes: bigint; updated_at: Date }>`
      select o.service, o.namespace, o.object, o.bytes, o.updated_at
      from object_levels o
      where o.account = ${account} and o.meter = ${meter} and o.bytes > 0 and o.object <> ''
        and (${service}::text is null or o.service = ${service}) and (${namespace}::text is null or o.namespace = ${namespace})
        and ${from}
      order by ${figure} desc, o.service desc, o.namespace desc, o.object desc limit ${limit}`.execute(db),
  );
  return rows.map(({ bytes, updated_at: changed, ...place }) => ({ ...place, bytes: Number(bytes), changedAt: changed.getTime() }));
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
