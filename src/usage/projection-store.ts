import { iso } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";
import { recentFrom, type RecentBucket } from "./projection.ts";

const RECENT_USAGE = loadQuery("recent-usage");

/** The booked buckets of an account that a projection at `now` goes by, by meter. One trip for all meters. */
export async function recentUsage(db: Db, account: string, now: number): Promise<Map<string, RecentBucket[]>> {
  const rows = await runQuery<{ meter: string; start: bigint; quantity: bigint }>(db, RECENT_USAGE, [
    account,
    iso(recentFrom(now)),
    iso(now),
  ]);
  const byMeter = new Map<string, RecentBucket[]>();
  for (const { meter, start, quantity } of rows) {
    const bucket = { start: Number(start), quantity: Number(quantity) };
    const before = byMeter.get(meter);
    if (before) before.push(bucket);
    else byMeter.set(meter, [bucket]);
  }
  return byMeter;
}
