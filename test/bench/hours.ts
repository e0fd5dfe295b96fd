import { sql } from "kysely";
import postgres from "postgres";
import { DAY_MS, HOUR_MS, iso } from "../../src/kernel/window.ts";
import { ensurePartitions } from "../../src/ledger/ledger-store.ts";
import type { Db } from "../../src/stores/database.ts";

export const YEAR_MS = 365 * DAY_MS;
export const SERVICES = ["api", "chat", "game"] as const;
const DAYS_AT_ONCE = 14;
/** A statement of Weir's may take ten seconds. */
const ROWS_AT_ONCE = 100_000;

/** Booked totals of some accounts in the year before `end`. */
export interface Hours {
  accounts: readonly string[];
  meters: readonly string[];
  services: readonly string[];
  /** From one booked hour to the next: 1 is every hour. */
  everyHours: number;
  /** Epoch ms, on the hour. */
  end: number;
}

/** Books a total for every such hour of the year, meter and service, in partitions as Weir makes them. */
export async function bookYear(db: Db, { accounts, meters, services, everyHours, end }: Hours): Promise<void> {
  const days = Math.max(DAYS_AT_ONCE, Math.ceil(everyHours / 24));
  const rowsOfAccount = Math.ceil((days * 24) / everyHours) * meters.length * services.length;
  const accountsAtOnce = Math.max(1, Math.floor(ROWS_AT_ONCE / rowsOfAccount));
  await ensurePartitions(
    db,
    Array.from({ length: YEAR_MS / DAY_MS }, (_, day) => end - YEAR_MS + day * DAY_MS),
  );
  // Days in turn, all accounts of one before the next: as they came to be booked.
  for (let from = end - YEAR_MS; from < end; from += days * DAY_MS) {
    const until = Math.min(from + days * DAY_MS, end) - HOUR_MS;
    for (let i = 0; i < accounts.length; i += accountsAtOnce) {
      await sql`
        insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
        select a, hour, meter, service, 'Room', 0, 'seed', 1 + abs(hashtext(a || hour || meter || service)) % 1000000
        from generate_series(${iso(from)}::timestamptz, ${iso(until)}::timestamptz, make_interval(hours => ${everyHours}::int)) hour,
             unnest(${accounts.slice(i, i + accountsAtOnce)}::text[]) a, unnest(${meters}::text[]) meter,
             unnest(${services}::text[]) service`.execute(db);
    }
  }
}

/** What a Postgres that runs for long has done by itself. Its own connection: it takes longer than a statement of Weir's may. */
export async function settleTables(databaseUrl: string): Promise<void> {
  const connection = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    await connection`vacuum analyze`;
  } finally {
    await connection.end();
  }
}

/** The history of a meter by hour, for the year before `end`. */
export const yearByHour = (meter: string, end: number): string =>
  `/v1/usage/history?meter=${meter}&granularity=hour&from=${iso(end - YEAR_MS)}&to=${iso(end)}`;
