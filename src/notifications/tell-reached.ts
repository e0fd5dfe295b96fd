import { plan, type Catalog } from "../catalog/catalog.ts";
import type { Crossing } from "../counters/crossing.ts";
import { iso, type Window } from "../kernel/window.ts";
import { readLimitSources } from "../limits/limit-sources.ts";
import { thresholdsInForce, type Threshold } from "../limits/thresholds.ts";
import type { Db } from "../stores/database.ts";
import { notify } from "./notification-store.ts";

/** Thresholds a process remembers having told: saves asking Postgres again for each count above 80 %. */
const TOLD_MAX = 100_000;
/** Sets of thresholds kept: most accounts of a plan have no caps, and so one set. */
const THRESHOLDS_MAX = 1_000;

/** The catalogue as one version has it. */
export interface CatalogVersions {
  document(version: number): Promise<Catalog>;
}

/**
 * Tells of thresholds that are reached: each once per account, meter, window, limit and percent, be it the plan's or a cap's. Postgres keeps that promise by
 * a unique key, so many processes may tell at once, again, or after a crash between the crossing and the telling. A crossing says which
 * limits stood: what they are by now does not matter.
 */
export class ThresholdTeller {
  readonly #db: Db;
  readonly #catalogs: CatalogVersions;
  readonly #thresholds = new Map<string, readonly Threshold[]>();
  readonly #told = new Set<string>();

  constructor(db: Db, catalogs: CatalogVersions) {
    this.#db = db;
    this.#catalogs = catalogs;
  }

  /** Of each crossing the thresholds at or below it, in the order in which they were reached: a jump over two tells both. */
  readonly tellCrossings = async (account: string, crossings: readonly Crossing[], now: number): Promise<void> => {
    for (const { meter, periods, windows, used, limits } of crossings) {
      for (const threshold of await this.#thresholdsUnder(limits)) {
        if (threshold.meter !== meter || !periods.includes(threshold.period) || used < threshold.at) continue;
        await this.#tell(account, threshold, windows[threshold.period], used, now);
      }
    }
  };

  async #thresholdsUnder(limits: string): Promise<readonly Threshold[]> {
    const known = this.#thresholds.get(limits);
    if (known) return known;
    const { catalogVersion, plan: key, caps } = readLimitSources(limits);
    const catalog = await this.#catalogs.document(catalogVersion);
    const thresholds = thresholdsInForce(catalog, plan(catalog, key), caps);
    if (this.#thresholds.size >= THRESHOLDS_MAX) this.#thresholds.clear();
    this.#thresholds.set(limits, thresholds);
    return thresholds;
  }

  async #tell(account: string, threshold: Threshold, window: Window, used: number, now: number): Promise<void> {
    const { meter, period, source, limit, percent } = threshold;
    const key = `threshold/${meter}/${period}/${iso(window.start)}/${limit}/${percent}`;
    if (this.#told.has(`${account}/${key}`)) return;
    const data = { account, meter, period, windowStart: iso(window.start), windowEnd: iso(window.end), percent, limit, used, source };
    await notify(this.#db, account, key, percent === 100 ? "usage.limit_reached" : "usage.threshold_reached", data, now);
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.add(`${account}/${key}`);
  }
}
