-- What was booked in many windows at once: counters' sums, corrections, gauges' integrals. Set-based: one index range a window.
-- $1 tag int[], the windows' numbers  $2 account text[]  $3 from timestamptz[]  $4 to timestamptz[], half-open, the edge of a bucket
-- $5 corrections' to timestamptz[], which may lie inside a bucket  $6 gauges text[], whose integrals are wanted in every window
-- Answers tag, kind ('usage' | 'correction' | 'level'), meter, quantity (numeric as text; a level in byte-milliseconds). No row is 0.
with windows as materialized (
  select * from unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
    as w (tag, account, from_at, to_at, corrections_to)
)
select w.tag, 'usage' as kind, s.meter, s.quantity::text as quantity
from windows w
cross join lateral (
  select u.meter, sum(u.quantity) as quantity
  from usage_buckets u where u.account = w.account and u.bucket >= w.from_at and u.bucket < w.to_at
  group by u.meter
) s
union all
select w.tag, 'correction', s.meter, s.quantity::text
from windows w
cross join lateral (
  select c.meter, sum(c.quantity) as quantity
  from corrections c where c.account = w.account and c.at >= w.from_at and c.at < w.corrections_to
  group by c.meter
) s
where s.quantity <> 0
union all
select w.tag, 'level', m.meter, t.byte_milliseconds::text
from windows w
cross join unnest($6::text[]) as m (meter)
cross join lateral weir_level_time(w.account, m.meter, w.from_at, w.to_at) t
where t.byte_milliseconds > 0
