-- A bucket begins on a UTC hour, or on a quarter of one where a billing month begins inside the hour; a granted day begins at UTC midnight.
-- Every zone's offset is a multiple of 15 minutes, and accounts may have moved between zones: so any quarter is lawful.
-- $1 from: what began earlier is not looked at.
select distinct 'usage_buckets' as table_name, account, meter, bucket as begins from usage_buckets
where bucket >= $1::timestamptz and mod(extract(epoch from bucket) * 1000, 900000) <> 0
union all
select 'grants', account, meter, window_start from grants
where window_start >= $1::timestamptz
  and mod(extract(epoch from window_start) * 1000, case period when 'day' then 86400000 else 900000 end) <> 0
