import { WeirError } from "../kernel/errors.ts";
import { HOUR_MS, iso } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { CatalogVersion } from "./catalog-store.ts";
import { findPlan, type Catalog, type Plan } from "./catalog.ts";
import { parseCatalog } from "./parse.ts";

/** A plan as one version of the catalogue has it. */
export interface PricedPlan {
  plan: Plan;
  version: CatalogVersion;
}

/** Answers questions about prices, as of one moment. */
export interface CatalogReader {
  planAt(key: string, at: number): Promise<PricedPlan>;
}

/** Documents kept parsed; a run prices a month or two, so two or three are in use. */
const DOCUMENTS_MAX = 32;
/** Instants whose version is remembered. */
const INSTANTS_MAX = 10_000;
/** An instant this long ago has its version for good: clocks of processes differ by seconds, and a new version is dated now. */
const SETTLED_MS = HOUR_MS;

/** The catalogue's versions through time. One that was applied never changes, so what was read is kept. */
export class CatalogHistory {
  readonly #db: Db;
  readonly #documents = new Map<number, Promise<CatalogVersion>>();
  readonly #instants = new Map<number, number>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** The version in force at `at`: the last one applied by then, or the first of all where none was. */
  async inForce(at: number, now: number): Promise<CatalogVersion> {
    const known = this.#instants.get(at);
    if (known !== undefined) return this.#version(known);
    const version = await this.#versionAt(at);
    if (now - at >= SETTLED_MS) remember(this.#instants, at, version, INSTANTS_MAX);
    return this.#version(version);
  }

  /**
   * The plan as it is priced from `at` on. Where that version did not know it yet (two processes' clocks at a plan's first hour) the
   * first one that does is taken. Throws `internal_error` for a plan that no version has.
   */
  planAt(key: string, at: number, now: number): Promise<PricedPlan> {
    return this.reader(now).planAt(key, at);
  }

  /** For many questions at one moment: each instant is looked up once. */
  reader(now: number): CatalogReader {
    const versions = new Map<number, Promise<CatalogVersion>>();
    const inForce = (at: number): Promise<CatalogVersion> => {
      const version = versions.get(at) ?? this.inForce(at, now);
      versions.set(at, version);
      return version;
    };
    return { planAt: async (key, at) => this.#planFrom(key, await inForce(at)) };
  }

  async #planFrom(key: string, inForce: CatalogVersion): Promise<PricedPlan> {
    for (let version: CatalogVersion | null = inForce; version; version = await this.#after(version.version)) {
      const plan = findPlan(version.catalog, key);
      if (plan) return { plan, version };
    }
    throw new WeirError("internal_error", `No version of the catalogue has a plan ${key}.`);
  }

  /** The catalogue as `version` has it. */
  async document(version: number): Promise<Catalog> {
    return (await this.#version(version)).catalog;
  }

  async #versionAt(at: number): Promise<number> {
    const versions = this.#db.selectFrom("catalog_versions").select("version");
    const last = await reachPostgres(
      versions
        .where("applied_at", "<=", new Date(iso(at)))
        .orderBy("version", "desc")
        .limit(1)
        .executeTakeFirst(),
    );
    const found = last ?? (await reachPostgres(versions.orderBy("version").limit(1).executeTakeFirst()));
    if (!found) throw new WeirError("internal_error", "No catalogue was ever applied.");
    return Number(found.version);
  }

  async #after(version: number): Promise<CatalogVersion | null> {
    const next = await reachPostgres(
      this.#db
        .selectFrom("catalog_versions")
        .select("version")
        .where("version", ">", BigInt(version))
        .orderBy("version")
        .limit(1)
        .executeTakeFirst(),
    );
    return next ? this.#version(Number(next.version)) : null;
  }

  #version(version: number): Promise<CatalogVersion> {
    const known = this.#documents.get(version);
    if (known) return known;
    const reading = this.#read(version);
    remember(this.#documents, version, reading, DOCUMENTS_MAX);
    // What could not be read is asked for again.
    reading.catch(() => this.#documents.delete(version));
    return reading;
  }

  async #read(version: number): Promise<CatalogVersion> {
    const row = await reachPostgres(
      this.#db.selectFrom("catalog_versions").selectAll().where("version", "=", BigInt(version)).executeTakeFirstOrThrow(),
    );
    return { version, sha256: row.sha256, appliedAt: row.applied_at.getTime(), catalog: parseCatalog(row.document) };
  }
}

/** The oldest makes room. */
function remember<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  const [oldest] = map.keys();
  if (map.size >= max && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}
