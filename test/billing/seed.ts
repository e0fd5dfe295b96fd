import postgres from "postgres";
import { applyCatalog } from "../../src/catalog/catalog-store.ts";
import { defaultCatalog } from "../../src/catalog/parse.ts";
import { openPostgres } from "../../src/stores/database.ts";

/** Every account begins here … */
const BEGIN = "2026-10-05T00:00:00.000Z";
/** … and is billed here: months have ended in every zone and on every anchor, the last ones less than a day ago for some. */
export const NOW = Date.parse("2027-01-01T12:00:00.000Z");

export interface SeedOptions {
  accounts: number;
  /** Hours with usage a meter and account … */
  hours: number;
  /** … spread over so many days. */
  days: number;
  /** Zones, anchors, changes of plan, corrections, discounts and taxes; without it every account is plain. */
  varied: boolean;
}

/** Fills a migrated database: each account has four counters and a gauge. The same options fill it with the same. */
export async function seed(databaseUrl: string, options: SeedOptions): Promise<void> {
  const weir = openPostgres(databaseUrl, { poolSize: 1 });
  await applyCatalog(weir.db, defaultCatalog(), Date.parse(BEGIN) - 1);
  await weir.close();
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    for (const month of ["2026-10", "2026-11", "2026-12", "2027-01"])
      await sql`select weir_ensure_partition(${`${month}-15`}::timestamptz)`;
    await accounts(sql, options);
    await usage(sql, options);
    if (options.varied) await variety(sql, options);
    await sql`vacuum analyze`;
  } finally {
    await sql.end();
  }
}

const account = (i: string): string => `'acct_' || lpad(${i}::text, 6, '0')`;
/** 0 … max − 1, the same for the same account and salt. */
const dice = (i: string, salt: string, max: number): string => `(abs(hashtextextended(${i}::text || '${salt}', 7)) % ${max})`;

async function accounts(sql: postgres.Sql, { accounts: count, varied }: SeedOptions): Promise<void> {
  const zone = varied ? `(array['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'America/New_York', 'Australia/Lord_Howe'])[1 + i % 5]` : "'UTC'";
  const anchor = varied ? "1 + i % 31" : "1";
  await sql.unsafe(`
    insert into accounts (account, billing_anchor_day, timezone, epoch, last_epoch, created_at, updated_at)
    select ${account("i")}, ${anchor}, ${zone}, 1, 1, '${BEGIN}', '${BEGIN}' from generate_series(1, ${count}) i`);
  await sql.unsafe(`
    insert into subscriptions (account, starts_at, plan, created_at, catalog_version)
    select ${account("i")}, '${BEGIN}', case when ${varied} and i % 9 = 0 then 'free' else 'pro' end, '${BEGIN}', 1 from generate_series(1, ${count}) i`);
}

async function usage(sql: postgres.Sql, { accounts: count, hours, days }: SeedOptions): Promise<void> {
  const meters = ["state_requests", "state_sqlite_rows_read", "state_sqlite_rows_written", "state_duration_gb_milliseconds"];
  const step = Math.max(1, Math.floor((days * 24) / hours));
  for (const meter of meters) {
    await sql.unsafe(`
      insert into usage_buckets (account, bucket, meter, service, namespace, epoch, source, quantity)
      select ${account("i")}, '${BEGIN}'::timestamptz + make_interval(hours => h * ${step}), '${meter}', 's', 'Room', 1, 'p',
             ${dice("i", meter, 50_000_000)} / ${hours} * (1 + h % 3)
      from generate_series(1, ${count}) i, generate_series(0, ${hours - 1}) h`);
  }
  await sql.unsafe(`
    insert into gauge_buckets (account, meter, bucket, epoch, from_at, until_at, byte_milliseconds, level, seq)
    select ${account("i")}, 'state_sqlite_storage_bytes', b, 1, b, b, 0, ${dice("i", "level", 200)} * 1000000000::bigint / (1 + h), h
    from generate_series(1, ${count}) i, generate_series(0, 3) h,
         lateral (select '${BEGIN}'::timestamptz + make_interval(hours => h * 500 + (i % 24)::int) as b) t`);
}

async function variety(sql: postgres.Sql, { accounts: count }: SeedOptions): Promise<void> {
  const each = (every: number, rest: number): string => `generate_series(1, ${count}) i where i % ${every} = ${rest}`;
  await sql.unsafe(`
    insert into subscriptions (account, starts_at, plan, created_at, catalog_version)
    select ${account("i")}, '2026-11-17T03:04:05.678Z', case i % 2 when 0 then 'free' else 'pro' end, '2026-11-17', 1 from ${each(10, 3)}`);
  await sql.unsafe(`
    insert into corrections (account, number, meter, quantity, at, reason, idempotency_key, request, made_by, created_at)
    select ${account("i")}, 1, 'state_requests', -1000 - i, '2026-11-03T10:00:00Z', 'seed', 'k', '', 'seed', '2026-12-20' from ${each(7, 2)}`);
  await sql.unsafe(`
    insert into billing_terms (account, starts_at, terms, created_at)
    select ${account("i")}, '${BEGIN}', jsonb_build_object(
      'discounts', jsonb_build_array(jsonb_build_object('name', 'd', 'percent', (i % 50)::text)),
      'taxes', jsonb_build_array(jsonb_build_object('name', 't', 'percent', '19', 'inclusive', i % 2 = 0))), '${BEGIN}' from ${each(4, 1)}`);
}
