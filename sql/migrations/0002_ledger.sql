-- The ledger: what was used, in hour buckets, as cumulative totals of their sources.

-- One row is one source's total for one bucket; it only grows. `source` is the process that acknowledged the usage,
-- `epoch` the account's life in Redis it was counted in: a counter that starts again does so under another key.
create table usage_buckets (
  account   text        not null,
  bucket    timestamptz not null,
  meter     text        not null,
  service   text        not null,
  namespace text        not null,
  epoch     bigint      not null,
  source    text        not null,
  quantity  bigint      not null check (quantity between 0 and 9007199254740991),
  primary key (account, bucket, meter, service, namespace, epoch, source)
) partition by range (bucket);

-- Usage must never fail to be booked for want of a partition.
create table usage_buckets_default partition of usage_buckets default;

-- Makes the partition of the UTC month that holds `at`, unless it is there. Safe to call at once from many sessions.
create function weir_ensure_partition(at timestamptz) returns void language plpgsql as $$
declare
  first timestamptz := date_trunc('month', at at time zone 'UTC') at time zone 'UTC';
  next  timestamptz := (date_trunc('month', at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
  name  text := 'usage_buckets_' || to_char(first at time zone 'UTC', 'YYYYMM');
begin
  if to_regclass(name) is not null then return; end if;
  perform pg_advisory_xact_lock(hashtext('weir_ensure_partition'));
  if to_regclass(name) is not null then return; end if;
  -- Rows that came before their partition wait in the default one; attaching would refuse them, so they stay there.
  if exists (select 1 from usage_buckets_default where bucket >= first and bucket < next) then return; end if;
  -- Again "if not exists": a session that waited above may still remember that it was not there.
  execute format('create table if not exists %I partition of usage_buckets for values from (%L) to (%L)', name, first, next);
end $$;

-- The size of each stored object, as last booked. (epoch, seq) orders the changes of one object: the greatest wins.
create table object_levels (
  account    text        not null,
  meter      text        not null,
  service    text        not null,
  namespace  text        not null,
  object     text        not null,
  bytes      bigint      not null check (bytes between 0 and 9007199254740991),
  epoch      bigint      not null,
  seq        bigint      not null,
  updated_at timestamptz not null,
  primary key (account, meter, service, namespace, object)
);
create index object_levels_largest on object_levels (account, meter, bytes desc);

-- What Postgres has lent to Redis, by epoch. Redis spends nothing it was not granted here first.
create table grants (
  account      text        not null references accounts,
  meter        text        not null,
  period       text        not null check (period in ('day', 'month')),
  window_start timestamptz not null,
  epoch        bigint      not null,
  granted      bigint      not null check (granted between 0 and 9007199254740991),
  -- Set once the epoch can spend no more and all it spent is booked: what it did not spend is free again.
  sealed_at    timestamptz,
  primary key (account, meter, period, window_start, epoch)
);
