import { sql } from "kysely";
import { iso, type Period } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";
import type { Cap, CapChange } from "./cap.ts";

/** The account's caps, by meter and period. */
export async function listCaps(db: Db, account: string): Promise<Cap[]> {
  const rows = await reachPostgres(
    db.selectFrom("caps").selectAll().where("account", "=", account).orderBy("meter").orderBy("period").execute(),
  );
  return rows.map((row) => ({
    meter: row.meter,
    period: row.period as Period,
    capValue: Number(row.cap_value),
    hardStop: row.hard_stop,
    notifyAtPercent: row.notify_at_percent,
    updatedAt: row.updated_at.getTime(),
  }));
}

/** Sets a cap and raises the limits version, in one statement. */
export async function putCap(db: Db, account: string, meter: string, cap: CapChange, now: number): Promise<void> {
  await reachPostgres(
    sql`
      with moved as (update accounts set limits_version = limits_version + 1 where account = ${account} returning account)
      insert into caps (account, meter, period, cap_value, hard_stop, notify_at_percent, updated_at)
      select m.account, ${meter}, ${cap.period}, ${cap.capValue}, ${cap.hardStop}, ${cap.notifyAtPercent}, ${iso(now)}::timestamptz from moved m
      on conflict (account, meter, period) do update set
        cap_value = excluded.cap_value, hard_stop = excluded.hard_stop, notify_at_percent = excluded.notify_at_percent, updated_at = excluded.updated_at`.execute(
      db,
    ),
  );
}

/** Removes a cap; false when there is none. */
export async function deleteCap(db: Db, account: string, meter: string, period: Period): Promise<boolean> {
  const { rows } = await reachPostgres(
    sql<{ account: string }>`
      with gone as (delete from caps where account = ${account} and meter = ${meter} and period = ${period} returning account)
      update accounts set limits_version = limits_version + 1 where account in (select account from gone) returning account`.execute(db),
  );
  return rows.length > 0;
}
