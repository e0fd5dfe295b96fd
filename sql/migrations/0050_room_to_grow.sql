-- More than half of each page of the ledger stays free for the next version of its rows. Every row of an hour grows each second until the hour is
-- over: a version that finds room in its own page needs no new entry in any index. docs/decisions/0051-rollup.md.

-- As in 0045, with that room.
create or replace function weir_ensure_partition(at timestamptz) returns void language plpgsql security definer set search_path from current as $$
declare
  first timestamptz := date_trunc('month', at at time zone 'UTC') at time zone 'UTC';
  next  timestamptz := (date_trunc('month', at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
  name  text := 'usage_buckets_' || to_char(first at time zone 'UTC', 'YYYYMM');
begin
  if to_regclass(name) is not null or at < weir_kept_from() then return; end if;
  perform pg_advisory_xact_lock(hashtext('weir_ensure_partition'));
  if to_regclass(name) is not null then return; end if;
  -- Rows that came before their partition wait in the default one; attaching would refuse them, so they stay there.
  if exists (select 1 from usage_buckets_default where bucket >= first and bucket < next) then return; end if;
  -- Again "if not exists": a session that waited above may still remember that it was not there.
  execute format('create table if not exists %I partition of usage_buckets for values from (%L) to (%L) with (fillfactor = 45)', name, first, next);
end $$;

do $$
declare
  v_table regclass;
begin
  for v_table in select inhrelid::regclass from pg_inherits where inhparent = 'usage_buckets'::regclass loop
    execute format('alter table %s set (fillfactor = 45)', v_table);
  end loop;
end $$;
alter table gauge_buckets set (fillfactor = 45);
