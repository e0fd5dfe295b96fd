-- The two ways Redis gets to know an account: opening an epoch, and being granted budget.
-- Each is one function, so it is atomic on any driver, and each takes the account's row first:
-- the booking statement takes the same lock, so no usage is booked between a sum and the epoch it was taken for.

-- A sum as a quantity: nothing is 0, and what no store carries exactly (beyond ±(2^53 − 1)) is cut off there.
create function weir_quantity(p_sum numeric) returns bigint language sql immutable as $$
  select least(9007199254740991, greatest(-9007199254740991, coalesce(p_sum, 0)))::bigint
$$;

-- The last ordinal given to any life of the account. An ordinal that was handed back (weir_open_epoch lost a race) is not given
-- again: another Redis may live under a greater one than the present, and its grants must never pass for those of a new life.
alter table accounts add column last_epoch bigint not null default 0;

-- The greatest limit the row was granted under. What is lent of a window can then be held against it (sql/checks).
alter table grants add column limit_value bigint not null check (limit_value between 0 and 9007199254740991);

-- Booked usage of every epoch but `p_epoch`, and all corrections, by meter, for the two windows. Negative where corrections give back
-- what `p_epoch` has spent. In plpgsql because a body in SQL would have to find `corrections` (0006) now.
create function weir_booked_elsewhere(
  p_account text, p_epoch bigint,
  p_day_start timestamptz, p_day_end timestamptz, p_month_start timestamptz, p_month_end timestamptz
) returns table (meter text, day_quantity bigint, month_quantity bigint) language plpgsql stable as $$
begin
  return query
  select e.meter,
         weir_quantity(sum(e.quantity) filter (where e.at >= p_day_start and e.at < p_day_end)),
         weir_quantity(sum(e.quantity) filter (where e.at >= p_month_start and e.at < p_month_end))
  from (
    select u.meter, u.bucket as at, u.quantity
    from usage_buckets u
    where u.account = p_account
      and u.bucket >= least(p_day_start, p_month_start)
      and u.bucket < greatest(p_day_end, p_month_end)
      and u.epoch <> p_epoch
    union all
    select c.meter, c.at, c.quantity
    from corrections c
    where c.account = p_account
      and c.at >= least(p_day_start, p_month_start)
      and c.at < greatest(p_day_end, p_month_end)
  ) e
  group by e.meter;
end $$;

-- Starts the account's next life in Redis. Answers its ordinal, or null when the limits have changed since they were read.
create function weir_open_epoch(p_account text, p_limits_version bigint, p_now timestamptz)
returns bigint language sql as $$
  update accounts set epoch = last_epoch + 1, last_epoch = last_epoch + 1, updated_at = greatest(updated_at, p_now)
  where account = p_account and limits_version = p_limits_version
  returning epoch
$$;

-- Grants budget of hard limits to an epoch: for each asked limit, up to what the epoch is wanted to have in all, as far as it goes.
-- Totals, so that two processes that ask for the same chunk, or one that asks again after a lost answer, are given it once.
-- Left = limit − what other epochs may have spent − what this one was granted − corrections. An epoch that is not sealed may have
-- spent all it was granted, whether or not that is booked yet. Answers nothing when epoch or limits are no longer the present ones.
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
           weir_quantity(coalesce(sum(case when c.sealed then c.booked else greatest(c.lent, c.booked) end)
                                  filter (where c.epoch <> p_epoch), 0)
             + (select coalesce(sum(k.quantity), 0) from corrections k
                where k.account = p_account and k.meter = a.meter and k.at >= a.window_start and k.at < a.window_end)) as elsewhere,
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

-- Budget that is lent to lives which are neither their account's present one nor sealed, less what they have booked: nobody that
-- Weir knows of can spend it, and nobody can be given it. Of days that begin at or after `p_day` and months at or after `p_month`:
-- pass the windows that are open, since usage of a later window would count as booked. `p_account` null: of all accounts.
create function weir_stranded(p_account text, p_day timestamptz, p_month timestamptz)
returns table (account text, meter text, period text, window_start timestamptz, epoch bigint, granted bigint, booked bigint)
language sql stable as $$
  select g.account, g.meter, g.period, g.window_start, g.epoch, g.granted, weir_quantity(b.booked)
  from grants g join accounts a using (account)
  cross join lateral (
    select sum(u.quantity) as booked from usage_buckets u
    where u.account = g.account and u.meter = g.meter and u.epoch = g.epoch and u.bucket >= g.window_start
  ) b
  where (p_account is null or g.account = p_account)
    and g.window_start >= case g.period when 'day' then p_day else p_month end
    and g.epoch <> a.epoch and g.sealed_at is null and g.granted > coalesce(b.booked, 0)
$$;

-- Frees what dead lives of an account were lent and have not booked. The caller vouches that none of them can spend any more and
-- that all they spent is booked (docs/decisions/0007). Answers a row of nulls, then what was freed; no row, and
-- does nothing, when `p_epoch` is not the account's present life: then it is not known which ones are dead.
create function weir_reclaim(p_account text, p_epoch bigint, p_day timestamptz, p_month timestamptz, p_now timestamptz)
returns table (meter text, period text, window_start timestamptz, epoch bigint, granted bigint, booked bigint)
language plpgsql as $$
begin
  update accounts a set foreign_seq = a.foreign_seq + 1 where a.account = p_account and a.epoch = p_epoch;
  if not found then return; end if;
  return next;
  return query
    select s.meter, s.period, s.window_start, s.epoch, s.granted, s.booked from weir_stranded(p_account, p_day, p_month) s;
  update grants g set sealed_at = p_now where g.account = p_account and g.epoch <> p_epoch and g.sealed_at is null;
  -- Of a gauge only the sizes that are booked are left: a row that names the present life and nothing granted.
  update level_grants l set epoch = p_epoch, top = case when l.epoch = p_epoch then l.top else 0 end, stranded = 0 where l.account = p_account;
end $$;
