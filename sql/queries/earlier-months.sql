-- The billing months that an invoice looks at again: the last ones before it, and older ones that were corrected since it began.
-- $1 tag int[]  $2 account text[]  $3 the invoice's month began at timestamptz[]  $4 how many of the last ones int
-- Answers tag, start, end, month_ms (times in epoch ms).
with asked as (
  select * from unnest($1::int[], $2::text[], $3::timestamptz[]) as w (tag, account, begins)
)
select w.tag, (extract(epoch from m.period_start) * 1000)::bigint as start, (extract(epoch from m.period_end) * 1000)::bigint as "end", m.month_ms
from asked w
cross join lateral (
  (select p.period_start, p.period_end, p.month_ms from billing_periods p
   where p.account = w.account and p.period_end <= w.begins and p.month_ms > 0
   order by p.period_end desc limit $4::int)
  union
  select p.period_start, p.period_end, p.month_ms
  from corrections c
  join billing_periods p on p.account = c.account and p.period_start <= c.at and p.period_end > c.at
  where c.account = w.account and c.at < w.begins and c.created_at >= w.begins and p.period_end <= w.begins and p.month_ms > 0
) m
order by w.tag, m.period_start
