-- Booked usage by UTC hour of accounts that want rate alerts, of those meters that reached $5 in some hour from $4 on.
-- $1 accounts after this id  $2 accounts at most int  $3 from timestamptz  $4 first hour in question timestamptz  $5 floor bigint
-- $6 to timestamptz
-- Answers account, meter, hours: a JSON list of [hour in epoch ms, quantity], in no order; and for each account looked at a row of
-- meter null, so that the caller knows where to go on.
with watched as materialized (
  select a.account from accounts a where a.rate_alert and a.account > $1::text order by a.account limit $2::int
), hourly as (
  select w.account, u.meter, date_bin('1 hour', u.bucket, 'epoch') as hour, weir_quantity(sum(u.quantity)) as quantity
  from watched w
  join usage_buckets u on u.account = w.account and u.bucket >= $3::timestamptz and u.bucket < $6::timestamptz
  group by 1, 2, 3
)
select h.account, h.meter, json_agg(json_build_array((extract(epoch from h.hour) * 1000)::bigint, h.quantity)) as hours
from hourly h
group by h.account, h.meter
having max(h.quantity) filter (where h.hour >= $4::timestamptz) >= $5::bigint
union all
select w.account, null, '[]' from watched w
order by 1, 2
