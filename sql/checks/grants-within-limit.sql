-- What is lent of a window, to all lives that are not sealed together, never exceeds the greatest limit it was lent under.
-- Every grant keeps the sum below the limit of its moment, less corrections; those that give back may have made room.
-- $1 from: windows that began earlier are not looked at.
select l.account, l.meter, l.period, l.window_start, l.lent, l.limit_value, b.given_back from (
  select g.account, g.meter, g.period, g.window_start, max(g.limit_value) as limit_value,
         sum(g.granted) filter (where g.sealed_at is null) as lent
  from grants g where g.window_start >= $1::timestamptz
  group by g.account, g.meter, g.period, g.window_start
) l cross join lateral (
  select coalesce(-sum(c.quantity), 0) as given_back from corrections c
  where c.account = l.account and c.meter = l.meter and c.at >= l.window_start and c.quantity < 0
) b
where l.lent > l.limit_value + b.given_back
