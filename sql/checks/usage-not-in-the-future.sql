-- Usage and corrections lie in the past, or within a day of now: clocks differ by seconds, not by days.
-- $2 now.
select 'usage_buckets' as table_name, account, meter, bucket as at from usage_buckets where bucket > $2::timestamptz + interval '1 day'
union all
select 'corrections', account, meter, at from corrections where at > $2::timestamptz + interval '1 day'
