-- The two ways Redis gets to know an account: opening an epoch, and being granted budget.
-- Each is one function, so it is atomic on any driver, and each takes the account's row first:
-- the booking statement takes the same lock, so no usage is booked between a sum and the epoch it was taken for.

-- Booked usage of every epoch but `p_epoch`, by meter, for the two windows.
create function weir_booked_elsewhere(
  p_account text, p_epoch bigint,
  p_day_start timestamptz, p_day_end timestamptz, p_month_start timestamptz, p_month_end timestamptz
) returns table (meter text, day_quantity bigint, month_quantity bigint) language sql stable as $$
  select u.meter,
         coalesce(sum(u.quantity) filter (where u.bucket >= p_day_start and u.bucket < p_day_end), 0)::bigint,
         coalesce(sum(u.quantity) filter (where u.bucket >= p_month_start and u.bucket < p_month_end), 0)::bigint
  from usage_buckets u
  where u.account = p_account
    and u.bucket >= least(p_day_start, p_month_start)
    and u.bucket < greatest(p_day_end, p_month_end)
    and u.epoch <> p_epoch
  group by u.meter
$$;

-- Starts the account's next life in Redis. Answers its ordinal, or null when the limits have changed since they were read.
create function weir_open_epoch(p_account text, p_limits_version bigint, p_now timestamptz)
returns bigint language sql as $$
  update accounts set epoch = epoch + 1, updated_at = greatest(updated_at, p_now)
  where account = p_account and limits_version = p_limits_version
  returning epoch
$$;

-- Grants budget of hard limits to an epoch: for each asked limit the least of what is wanted and what is left of it.
-- Left = limit − what other epochs may have spent − what this one was granted. An epoch that is not sealed may have spent
-- all it was granted, whether or not that is booked yet. Answers nothing when epoch or limits are no longer the present ones.
create function weir_grant(
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
           coalesce(sum(case when c.sealed then c.booked else greatest(c.lent, c.booked) end)
                    filter (where c.epoch <> p_epoch), 0)::bigint as elsewhere,
           coalesce(max(c.lent) filter (where c.epoch = p_epoch), 0)::bigint as here
    from asked a
    left join lateral (
      select e.epoch, sum(e.booked) as booked, sum(e.lent) as lent, bool_or(e.sealed) as sealed
      from (
        select u.epoch, u.quantity as booked, 0::bigint as lent, false as sealed
        from usage_buckets u
        where u.account = p_account and u.meter = a.meter and u.bucket >= a.window_start and u.bucket < a.window_end
        union all
        select g.epoch, 0, g.granted, g.sealed_at is not null
        from grants g
        where g.account = p_account and g.meter = a.meter and g.period = a.period and g.window_start = a.window_start
      ) e
      group by e.epoch
    ) c on true
    group by a.meter, a.period
  ), given as (
    select a.meter, a.period, a.window_start, c.here,
           least(a.want, greatest(0, a.limit_value - c.elsewhere - c.here)) as gift,
           a.limit_value - c.elsewhere - c.here <= a.want as spent_up
    from asked a join charged c using (meter, period)
  ), written as (
    insert into grants as g (account, meter, period, window_start, epoch, granted)
    select p_account, v.meter, v.period, v.window_start, p_epoch, v.gift from given v where v.gift > 0
    order by v.meter, v.period
    on conflict on constraint grants_pkey do update set granted = g.granted + excluded.granted
    returning g.meter, g.period, g.granted
  )
  select v.meter, v.period, coalesce(w.granted, v.here), v.spent_up
  from given v left join written w on w.meter = v.meter and w.period = v.period;
end $$;
