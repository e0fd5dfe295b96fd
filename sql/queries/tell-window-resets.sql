-- Tells each account whose limit was reached that the window it was reached in is over, once a meter and window.
-- $1 now as ISO text  $2 only windows that ended after this, ISO text  $3 gauges text[] (a level has no window)  $4 most rows int
-- Answers how many were told.
with ended as (
  select distinct on (n.account, n.data->>'meter', n.data->>'period', n.data->>'windowStart') n.account, n.data
  from notifications n
  where n.type = 'usage.limit_reached'
    and n.data->>'windowEnd' <= $1::text and n.data->>'windowEnd' > $2::text
    and not n.data->>'meter' = any ($3::text[])
    and not exists (
      select 1 from notifications r
      where r.account = n.account
        and r.dedupe_key = 'reset/' || (n.data->>'meter') || '/' || (n.data->>'period') || '/' || (n.data->>'windowStart')
    )
  order by n.account, n.data->>'meter', n.data->>'period', n.data->>'windowStart', n.seq desc
  limit $4::int
)
select count(*) filter (where weir_notify(
  e.account, 'reset/' || (e.data->>'meter') || '/' || (e.data->>'period') || '/' || (e.data->>'windowStart'),
  'usage.window_reset', e.data, $1::timestamptz))::int as told
from ended e
