import type { Catalog } from "../catalog/catalog.ts";
import { DAY_MS, iso } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";

const TELL = loadQuery("tell-window-resets");
/** Windows that ended longer ago are not told any more: Weir was down for so long that it is no news. */
const TOLD_WITHIN_MS = 3 * DAY_MS;
const TOLD_AT_ONCE = 1_000;

/** Tells of windows that are over in which a limit had been reached: what was stopped goes on. Answers how many, 1,000 at the most. */
export async function tellWindowResets(db: Db, catalog: Catalog, now: number): Promise<number> {
  const gauges = catalog.meters.filter((m) => m.kind === "gauge").map((m) => m.name);
  const rows = await runQuery<{ told: number }>(db, TELL, [iso(now), iso(now - TOLD_WITHIN_MS), gauges, TOLD_AT_ONCE]);
  return rows[0]?.told ?? 0;
}
