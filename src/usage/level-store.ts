import { sql } from "kysely";
import { iso, type Window } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** A booked stretch of a gauge: its integral over `[from, until)`, and the level it was left at. Epoch ms. */
export interface LevelStretch {
  from: number;
  until: number;
  byteMilliseconds: bigint;
  level: number;
}

/** The stretches that touch `window`, and the last one before it, oldest first. */
export async function levelStretches(db: Db, account: string, meter: string, window: Window): Promise<LevelStretch[]> {
  const { rows } = await reachPostgres(
    sql<{ from_at: Date; until_at: Date; byte_milliseconds: string; level: bigint }>`
      (select from_at, until_at, byte_milliseconds, level, epoch from gauge_buckets
       where account = ${account} and meter = ${meter} and from_at < ${iso(window.start)}::timestamptz
       order by from_at desc, epoch desc limit 1)
      union all
      (select from_at, until_at, byte_milliseconds, level, epoch from gauge_buckets
       where account = ${account} and meter = ${meter} and from_at >= ${iso(window.start)}::timestamptz and from_at < ${iso(window.end)}::timestamptz)
      order by from_at, epoch`.execute(db),
  );
  return rows.map((r) => ({
    from: r.from_at.getTime(),
    until: r.until_at.getTime(),
    byteMilliseconds: BigInt(r.byte_milliseconds),
    level: Number(r.level),
  }));
}
