-- Months of the usage ledger that are over at a moment. $1 before timestamptz
-- Answers start and end of each, ISO text, the oldest first.
select to_char(m.start, 'YYYY-MM-DD') || 'T00:00:00Z' as start, to_char(m.start + interval '1 month', 'YYYY-MM-DD') || 'T00:00:00Z' as "end"
from pg_inherits p
join pg_class c on c.oid = p.inhrelid
cross join lateral (select to_date(right(c.relname, 6), 'YYYYMM')::timestamp as start) m
-- The default partition has no month; the others are named by theirs.
where p.inhparent = 'usage_buckets'::regclass and c.relname ~ '^usage_buckets_\d{6}$'
  and (m.start + interval '1 month') at time zone 'UTC' <= $1::timestamptz
order by 1
