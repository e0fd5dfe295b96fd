-- An account's buckets from an hour on, all meters at once: through the primary key, a handful of rows.
-- $1 account  $2 from timestamptz, the start of an hour  $3 until timestamptz
-- Answers meter, start (epoch ms), quantity.
select u.meter, (extract(epoch from u.bucket) * 1000)::bigint as start, weir_quantity(sum(u.quantity)) as quantity
from usage_buckets u
where u.account = $1::text and u.bucket >= $2::timestamptz and u.bucket <= $3::timestamptz
group by u.meter, u.bucket
