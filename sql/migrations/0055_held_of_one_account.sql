-- What lives of one account that are over still hold of its limits, for its report. Each statement is planned once a connection: planned at each report,
-- over all partitions, the two took 3 of the 13 ms that a report took. So the account is named, not "this one or any" as in weir_stranded,
-- which a plan for any account would read all of them for.

-- As weir_stranded (0014) has it, summed; a gauge's under 'level'.
create function weir_stranded_of(p_account text, p_day timestamptz, p_month timestamptz)
returns table (meter text, period text, quantity numeric)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select g.meter, g.period, sum(g.granted - b.quantity)
  from grants g join accounts a using (account)
  cross join lateral (
    select weir_quantity(
      (select coalesce(sum(u.quantity), 0) from usage_buckets u
       where u.account = g.account and u.meter = g.meter and u.epoch = g.epoch and u.bucket >= g.window_start)
      + (select coalesce(sum(l.quantity), 0) from weir_lent_elsewhere(g.account, a.epoch, g.window_start, 'infinity') l
         where l.epoch = g.epoch and l.meter = g.meter)) as quantity
  ) b
  where g.account = p_account and g.window_start >= case g.period when 'day' then p_day else p_month end
    and g.epoch <> a.epoch and g.sealed_at is null and g.granted > b.quantity
  group by g.meter, g.period
  union all
  select l.meter, 'level',
         greatest(0, case when l.epoch = a.epoch then l.stranded
                          else l.top + l.stranded - (select coalesce(sum(o.bytes), 0) from object_levels o
                                                     where o.account = l.account and o.meter = l.meter) end)::numeric
  from level_grants l join accounts a using (account)
  where l.account = p_account;
end $$;

-- What its leases of other lives than `p_epoch` may still spend, in the day and in the month.
create function weir_lent_of(
  p_account text, p_epoch bigint, p_day_start timestamptz, p_day_end timestamptz, p_month_start timestamptz, p_month_end timestamptz
) returns table (period text, meter text, quantity bigint)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select 'day', l.meter, l.quantity from weir_lent_elsewhere(p_account, p_epoch, p_day_start, p_day_end) l
  union all
  select 'month', l.meter, l.quantity from weir_lent_elsewhere(p_account, p_epoch, p_month_start, p_month_end) l;
end $$;
