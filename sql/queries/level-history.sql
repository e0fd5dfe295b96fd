-- The booked changes of a gauge: the level each bucket was left at, and the last one before $3.
-- $1 account  $2 meter  $3 from timestamptz  $4 to timestamptz, half-open
-- Answers one row: changes, a JSON list of [since when in epoch ms, level], oldest first. The level stays what it is until the next entry.
with changes as (
  (select g.from_at, g.epoch, g.level from gauge_buckets g
   where g.account = $1::text and g.meter = $2::text and g.bucket < $3::timestamptz and g.from_at < $3::timestamptz
   order by g.bucket desc, g.from_at desc, g.epoch desc limit 1)
  union all
  -- A bucket is at most an hour, so one that reaches over $3 began less than that before.
  (select g.from_at, g.epoch, g.level from gauge_buckets g
   where g.account = $1::text and g.meter = $2::text and g.bucket > $3::timestamptz - interval '1 hour' and g.bucket < $4::timestamptz
     and g.from_at >= $3::timestamptz and g.from_at < $4::timestamptz)
)
select coalesce(json_agg(json_build_array((extract(epoch from c.from_at) * 1000)::bigint, c.level) order by c.from_at, c.epoch), '[]') as changes
from changes c
