import { createHash } from "node:crypto";
import { sql } from "kysely";
import { WeirError } from "../kernel/errors.ts";
import { iso } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { reachPostgres } from "../stores/database.ts";
import type { Catalog } from "./catalog.ts";
import { parseCatalog } from "./parse.ts";

/** A catalogue as it was applied. Versions count up and are never changed or removed: an invoice names the one it was rated with. */
export interface CatalogVersion {
  version: number;
  /** Of the document and of the version before it, in hex: applying an earlier document again is a version of its own. */
  sha256: string;
  /** Epoch milliseconds. */
  appliedAt: number;
  catalog: Catalog;
}

/** The newest version; null before the first is applied. */
export async function loadCatalog(db: Db): Promise<CatalogVersion | null> {
  const row = await reachPostgres(db.selectFrom("catalog_versions").selectAll().orderBy("version", "desc").limit(1).executeTakeFirst());
  return row ? { ...headOf(row), catalog: parseCatalog(row.document) } : null;
}

/** One version; null where there is none of that number. */
export async function findCatalogVersion(db: Db, version: number): Promise<CatalogVersion | null> {
  const row = await reachPostgres(db.selectFrom("catalog_versions").selectAll().where("version", "=", BigInt(version)).executeTakeFirst());
  return row ? { ...headOf(row), catalog: parseCatalog(row.document) } : null;
}

/** At most `limit` versions below `before`, newest first, without their documents. */
export async function catalogVersions(db: Db, before: number, limit: number): Promise<Omit<CatalogVersion, "catalog">[]> {
  const rows = await reachPostgres(
    db
      .selectFrom("catalog_versions")
      .select(["version", "sha256", "applied_at"])
      .where("version", "<", BigInt(before))
      .orderBy("version", "desc")
      .limit(limit)
      .execute(),
  );
  return rows.map(headOf);
}

/** A version without its document. */
const headOf = (row: { version: bigint; sha256: string; applied_at: Date }): Omit<CatalogVersion, "catalog"> => ({
  version: Number(row.version),
  sha256: row.sha256,
  appliedAt: row.applied_at.getTime(),
});

/**
 * Makes `catalog` the newest version; changes nothing when the newest says the same already, so it may run at every start.
 * Several processes applying one document at once make one version: the hash, over document and predecessor, is unique.
 */
export async function applyCatalog(db: Db, catalog: Catalog, now: number): Promise<CatalogVersion & { applied: boolean }> {
  const current = await loadCatalog(db);
  const document = canonicalJson(catalog);
  if (current && canonicalJson(current.catalog) === document) return { ...current, applied: false };
  const sha256 = createHash("sha256")
    .update(current?.sha256 ?? "")
    .update("\n")
    .update(document)
    .digest("hex");
  const inserted = await reachPostgres(
    db
      .insertInto("catalog_versions")
      // As text first: the driver would encode a parameter of type jsonb once more, into one JSON string.
      .values({ document: sql`${document}::text::jsonb`, sha256, applied_at: iso(now) })
      .onConflict((conflict) => conflict.column("sha256").doNothing())
      .returning("version")
      .executeTakeFirst(),
  );
  if (inserted) return { version: Number(inserted.version), sha256, appliedAt: now, catalog, applied: true };
  const other = await loadCatalog(db);
  if (other) return { ...other, applied: false };
  throw new WeirError("internal_error", "The catalogue was not stored.");
}

/** The same text for the same content: jsonb does not keep the order of members. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
