-- Gauges: how high Redis may let a level rise, and the level over time.

-- The level an account's gauge was granted, by the epoch that has it. What an older epoch may have grown beyond what is
-- booked is `stranded`: it counts against the limit until a recount tells the truth.
create table level_grants (
  account  text   not null references accounts,
  meter    text   not null,
  epoch    bigint not null,
  top      bigint not null check (top between 0 and 9007199254740991),
  stranded bigint not null check (stranded between 0 and 9007199254740991),
  primary key (account, meter)
);

-- One bucket of a gauge: its integral from `from_at` to `until_at` in byte-milliseconds, and the level it was left at.
-- From there to the next row the level is constant, so nothing need be written while nothing changes.
create table gauge_buckets (
  account           text        not null,
  meter             text        not null,
  bucket            timestamptz not null,
  epoch             bigint      not null,
  from_at           timestamptz not null,
  until_at          timestamptz not null,
  byte_milliseconds numeric     not null check (byte_milliseconds >= 0),
  level             bigint      not null check (level between 0 and 9007199254740991),
  seq               bigint      not null,
  primary key (account, meter, bucket, epoch)
);

-- Grants a gauge's level to an epoch: up to what is wanted, as far as the limit goes. Answers the level granted and whether
-- nothing more is to be had; nothing when epoch or limits are no longer the present ones.
create function weir_grant_level(p_account text, p_epoch bigint, p_limits_version bigint, p_meter text, p_limit bigint, p_want bigint)
returns table (top bigint, exhausted boolean) language plpgsql as $$
begin
  perform 1 from accounts a
  where a.account = p_account and a.epoch = p_epoch and a.limits_version = p_limits_version
  for no key update;
  if not found then return; end if;

  return query
  with before as (
    -- A new epoch begins here: the one before may have reached its whole grant, of which only this much is booked.
    select case when g.epoch = p_epoch then g.top else 0 end as top,
           case when g.epoch = p_epoch then g.stranded
                else greatest(0, g.top + g.stranded - (select coalesce(sum(o.bytes), 0) from object_levels o
                                                       where o.account = p_account and o.meter = p_meter)) end::bigint as stranded
    from level_grants g where g.account = p_account and g.meter = p_meter
    union all
    select 0, 0 where not exists (select 1 from level_grants g where g.account = p_account and g.meter = p_meter)
  ), written as (
    insert into level_grants as g (account, meter, epoch, top, stranded)
    select p_account, p_meter, p_epoch, greatest(b.top, least(p_want, greatest(0, p_limit - b.stranded))), b.stranded from before b
    on conflict (account, meter) do update set epoch = excluded.epoch, top = excluded.top, stranded = excluded.stranded
    returning g.top, g.stranded
  )
  select w.top, p_limit - w.stranded <= p_want from written w;
end $$;
