import { HOUR_MS, iso } from "../kernel/window.ts";
import type { Db } from "../stores/database.ts";
import { RATE_ALERT_FACTOR, unusualHours, type UnusualHour } from "./rate-alert.ts";
import { hourlyUsage } from "./rate-alert-store.ts";

/** Tells an account something once for each `key`; answers whether it was new. */
export type TellRate = (account: string, key: string, data: Readonly<Record<string, unknown>>, now: number) => Promise<boolean>;

/**
 * Tells accounts that switched it on of hours with ten times their usual usage, once an account, meter and hour. Run late, twice or at
 * once it tells the same. Answers how many were told now.
 */
export async function watchRates(db: Db, tell: TellRate, now: number): Promise<number> {
  let told = 0;
  let after: string | null = "";
  while (after !== null) {
    const { meters, last } = await hourlyUsage(db, after, now);
    for (const { account, meter, hours } of meters) {
      for (const unusual of unusualHours(hours, now)) {
        if (await tell(account, `rate/${meter}/${iso(unusual.hour)}`, alertData(account, meter, unusual), now)) told += 1;
      }
    }
    after = last;
  }
  return told;
}

/** The members every notification of usage has; where no limit is concerned they are null. */
function alertData(account: string, meter: string, { hour, quantity, median }: UnusualHour): Record<string, unknown> {
  return {
    account,
    meter,
    period: "hour",
    windowStart: iso(hour),
    windowEnd: iso(hour + HOUR_MS),
    percent: null,
    limit: null,
    used: quantity,
    source: null,
    median,
    factor: RATE_ALERT_FACTOR,
  };
}
