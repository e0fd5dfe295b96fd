import { sql } from "kysely";
import { iso, type Window } from "../kernel/window.ts";
import { reachPostgres, type Db } from "../stores/database.ts";

/** A counter's booked hours of a window, by start (epoch ms), of all its services. */
export async function counterHours(db: Db, account: string, meter: string, window: Window): Promise<Map<number, bigint>> {
  const { rows } = await reachPostgres(
    sql<{ start: bigint; quantity: string }>`
      select (extract(epoch from u.bucket) * 1000)::bigint as start, sum(u.quantity)::text as quantity
      from usage_buckets u
      where u.account = ${account} and u.meter = ${meter}
        and u.bucket >= ${iso(window.start)}::timestamptz and u.bucket < ${iso(window.end)}::timestamptz
      group by u.bucket order by u.bucket`.execute(db),
  );
  return new Map(rows.map(({ start, quantity }) => [Number(start), BigInt(quantity)]));
}

/** A correction as far as a line must name it. */
export interface CorrectionEntry {
  id: string;
  /** Epoch ms. */
  at: number;
  quantity: bigint;
  reason: string;
}

/** A counter's corrections dated inside a window, oldest first. */
export async function correctionsIn(db: Db, account: string, meter: string, window: Window): Promise<CorrectionEntry[]> {
  const { rows } = await reachPostgres(
    sql<{ number: bigint; at: Date; quantity: bigint; reason: string }>`
      select c.number, c.at, c.quantity, c.reason from corrections c
      where c.account = ${account} and c.meter = ${meter} and c.at >= ${iso(window.start)}::timestamptz and c.at < ${iso(window.end)}::timestamptz
      order by c.at, c.number`.execute(db),
  );
  return rows.map(({ number, at, quantity, reason }) => ({ id: `correction_${number}`, at: at.getTime(), quantity, reason }));
}
