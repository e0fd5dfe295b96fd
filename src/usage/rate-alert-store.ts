import { iso } from "../kernel/window.ts";
import { loadQuery, runQuery, type Db } from "../stores/database.ts";
import { hoursInQuestion, RATE_ALERT_FLOOR, USUAL_SPAN_MS, type HourlyUsage } from "./rate-alert.ts";

const HOURLY_USAGE = loadQuery("hourly-usage");
/** Accounts looked at in one statement: with five busy meters of three services some 130,000 buckets. */
const ACCOUNTS_AT_ONCE = 50;

export interface MeterHours {
  account: string;
  meter: string;
  hours: HourlyUsage[];
}

/** Hourly usage of the accounts after `after` that want rate alerts, of meters worth a look. `last` is where to go on, null at the end. */
export async function hourlyUsage(db: Db, after: string, now: number): Promise<{ meters: MeterHours[]; last: string | null }> {
  const { first, end } = hoursInQuestion(now);
  const rows = await runQuery<{ account: string; meter: string | null; hours: [number, number][] }>(db, HOURLY_USAGE, [
    after,
    ACCOUNTS_AT_ONCE,
    iso(first - USUAL_SPAN_MS),
    iso(first),
    String(RATE_ALERT_FLOOR),
    iso(end),
  ]);
  const meters = rows.flatMap(({ account, meter, hours }) =>
    meter === null ? [] : [{ account, meter, hours: hours.map(([hour, quantity]) => ({ hour, quantity })) }],
  );
  const looked = rows.filter((row) => row.meter === null);
  return { meters, last: looked.length < ACCOUNTS_AT_ONCE ? null : (looked.at(-1)?.account ?? null) };
}
