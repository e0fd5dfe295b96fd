-- Leases: parts of a limit's remainder that are lent to holders, which spend them by themselves and settle afterwards.

create table leases (
  account     text        not null references accounts,
  -- The lease's name within the account; what it spends is booked under it as source, all in its one bucket.
  lease       text        not null,
  -- The account's life in Redis that lends it, out of what that life was granted.
  epoch       bigint      not null,
  bucket      timestamptz not null,
  day_start   timestamptz not null,
  day_end     timestamptz not null,
  month_start timestamptz not null,
  month_end   timestamptz not null,
  holder      text        not null,
  -- Of the request that made it: the same idempotency key with another request is refused.
  request     text        not null,
  ttl_ms      integer     not null check (ttl_ms > 0),
  -- Meter → all that it was granted. Written down before the holder hears of it.
  granted     jsonb       not null,
  -- Rises with every grant: of two texts the later stays.
  version     bigint      not null,
  -- The greatest number that is known to be settled; −1 before the first.
  seq         bigint      not null,
  -- As it was when it was last granted anything; heartbeats keep it alive in Redis alone.
  expires_at  timestamptz not null,
  created_at  timestamptz not null,
  -- It was returned: what was not spent is free again.
  closed_at   timestamptz,
  primary key (account, lease)
);
create index leases_open on leases (account, bucket) where closed_at is null;
create index leases_by_end on leases (month_end);

-- What open leases of other lives than `p_epoch` may still spend of buckets in the window: what they were granted and have not booked.
create function weir_lent_elsewhere(p_account text, p_epoch bigint, p_start timestamptz, p_end timestamptz)
returns table (epoch bigint, meter text, quantity bigint) language sql stable as $$
  select l.epoch, g.key, weir_quantity(sum(greatest(0, g.value::bigint - b.booked)))
  from leases l
  cross join lateral jsonb_each_text(l.granted) g
  cross join lateral (
    select coalesce(sum(u.quantity), 0) as booked from usage_buckets u
    where u.account = l.account and u.bucket = l.bucket and u.meter = g.key and u.epoch = l.epoch and u.source = l.lease
  ) b
  where l.account = p_account and l.closed_at is null and l.epoch <> p_epoch and l.bucket >= p_start and l.bucket < p_end
  group by l.epoch, g.key
$$;

-- As in 0003, and: another life's open leases are charged as if they were spent, whatever became of that life. Sealed or reclaimed, it
-- may be told of late; and it may have been lent them in windows that were cut otherwise, or under no limit at all.
create or replace function weir_grant(
  p_account text, p_epoch bigint, p_limits_version bigint,
  p_meters text[], p_periods text[], p_starts timestamptz[], p_ends timestamptz[], p_limits bigint[], p_wants bigint[]
) returns table (meter text, period text, granted bigint, exhausted boolean) language plpgsql as $$
begin
  perform 1 from accounts a
  where a.account = p_account and a.epoch = p_epoch and a.limits_version = p_limits_version
  for no key update;
  if not found then return; end if;

  return query
  with asked as (
    select * from unnest(p_meters, p_periods, p_starts, p_ends, p_limits, p_wants)
      as t (meter, period, window_start, window_end, limit_value, want)
  ), charged as (
    select a.meter, a.period,
           weir_quantity(coalesce(sum(greatest(case when c.sealed then 0 else c.lent end, c.booked + c.leased))
                                  filter (where c.epoch <> p_epoch), 0)
             + (select coalesce(sum(k.quantity), 0) from corrections k
                where k.account = p_account and k.meter = a.meter and k.at >= a.window_start and k.at < a.window_end)) as elsewhere,
           coalesce(max(c.lent) filter (where c.epoch = p_epoch), 0)::bigint as here
    from asked a
    left join lateral (
      select e.epoch, sum(e.booked) as booked, sum(e.lent) as lent, sum(e.leased) as leased, bool_or(e.sealed) as sealed
      from (
        select u.epoch, u.quantity as booked, 0::bigint as lent, 0::bigint as leased, false as sealed
        from usage_buckets u
        where u.account = p_account and u.meter = a.meter and u.bucket >= a.window_start and u.bucket < a.window_end
        union all
        select g.epoch, 0, g.granted, 0, g.sealed_at is not null
        from grants g
        where g.account = p_account and g.meter = a.meter and g.period = a.period and g.window_start = a.window_start
        union all
        select l.epoch, 0, 0, l.quantity, false
        from weir_lent_elsewhere(p_account, p_epoch, a.window_start, a.window_end) l
        where l.meter = a.meter
      ) e
      group by e.epoch
    ) c on true
    group by a.meter, a.period, a.window_start, a.window_end
  ), given as (
    select a.meter, a.period, a.window_start, a.limit_value, c.here,
           least(greatest(0, a.want - c.here), 9007199254740991 - c.here, greatest(0, a.limit_value - c.elsewhere - c.here)) as gift,
           a.limit_value - c.elsewhere <= greatest(a.want, c.here) as spent_up
    from asked a join charged c using (meter, period)
  ), written as (
    insert into grants as g (account, meter, period, window_start, epoch, granted, limit_value)
    select p_account, v.meter, v.period, v.window_start, p_epoch, v.gift, v.limit_value from given v where v.gift > 0
    order by v.meter, v.period
    on conflict on constraint grants_pkey do update set
      granted = g.granted + excluded.granted, limit_value = greatest(g.limit_value, excluded.limit_value)
    returning g.meter, g.period, g.granted
  )
  select v.meter, v.period, coalesce(w.granted, v.here), v.spent_up
  from given v left join written w on w.meter = v.meter and w.period = v.period;
end $$;

-- As in 0003, but what open leases may still spend is no stranded budget: it has a holder, and is shown as lent. `booked` includes it.
create or replace function weir_stranded(p_account text, p_day timestamptz, p_month timestamptz)
returns table (account text, meter text, period text, window_start timestamptz, epoch bigint, granted bigint, booked bigint)
language sql stable as $$
  select g.account, g.meter, g.period, g.window_start, g.epoch, g.granted, b.quantity
  from grants g join accounts a using (account)
  cross join lateral (
    select weir_quantity(
      (select coalesce(sum(u.quantity), 0) from usage_buckets u
       where u.account = g.account and u.meter = g.meter and u.epoch = g.epoch and u.bucket >= g.window_start)
      + (select coalesce(sum(l.quantity), 0) from weir_lent_elsewhere(g.account, a.epoch, g.window_start, 'infinity') l
         where l.epoch = g.epoch and l.meter = g.meter)) as quantity
  ) b
  where (p_account is null or g.account = p_account)
    and g.window_start >= case g.period when 'day' then p_day else p_month end
    and g.epoch <> a.epoch and g.sealed_at is null and g.granted > b.quantity
$$;

-- Writes down what leases were granted, before their holders hear of it. Only under the account's present life, and under the lock
-- that the opening of another takes: whoever frees what a life was lent finds every lease of it. Answers the leases that are written;
-- one that is missing belongs to a life that is over, or its name stands for another grant.
create function weir_write_leases(
  p_accounts text[], p_leases text[], p_epochs bigint[], p_buckets timestamptz[],
  p_day_starts timestamptz[], p_day_ends timestamptz[], p_month_starts timestamptz[], p_month_ends timestamptz[],
  p_holders text[], p_requests text[], p_ttls integer[], p_granted text[], p_versions bigint[], p_seqs bigint[],
  p_expires timestamptz[], p_now timestamptz
) returns table (account text, lease text) language sql as $$
  with locked as materialized (
    select a.account, a.epoch from accounts a where a.account = any (p_accounts) order by a.account for no key update
  ), incoming as (
    select t.* from unnest(p_accounts, p_leases, p_epochs, p_buckets, p_day_starts, p_day_ends, p_month_starts, p_month_ends,
                           p_holders, p_requests, p_ttls, p_granted, p_versions, p_seqs, p_expires)
      as t (account, lease, epoch, bucket, day_start, day_end, month_start, month_end,
            holder, request, ttl_ms, granted, version, seq, expires_at)
    join locked using (account, epoch)
  ), written as (
    insert into leases as l (account, lease, epoch, bucket, day_start, day_end, month_start, month_end,
                             holder, request, ttl_ms, granted, version, seq, expires_at, created_at)
    select i.account, i.lease, i.epoch, i.bucket, i.day_start, i.day_end, i.month_start, i.month_end,
           i.holder, i.request, i.ttl_ms, i.granted::jsonb, i.version, i.seq, i.expires_at, p_now
    from incoming i order by i.account, i.lease
    on conflict on constraint leases_pkey do update set
      granted = case when excluded.version >= l.version then excluded.granted else l.granted end,
      version = greatest(l.version, excluded.version),
      seq = greatest(l.seq, excluded.seq),
      expires_at = greatest(l.expires_at, excluded.expires_at)
    where l.epoch = excluded.epoch
    returning l.account, l.lease
  )
  select w.account, w.lease from written w
$$;
