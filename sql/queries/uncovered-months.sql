-- Partitions of the usage ledger whose month was over before a moment and whose covering index is missing or was left half built; only
-- those that this user owns, since nobody else may index them.
-- $1 before timestamptz  $2 months at most int
-- Answers a row for each, oldest first: partition, the index's name, and whether a half-built one must be dropped first.
select c.relname as partition, c.relname || '_covering' as index, i.indexrelid is not null as broken
from pg_inherits p
join pg_class c on c.oid = p.inhrelid
left join pg_class ic on ic.relname = c.relname || '_covering' and ic.relnamespace = c.relnamespace
left join pg_index i on i.indexrelid = ic.oid and i.indrelid = c.oid
where p.inhparent = 'usage_buckets'::regclass and not coalesce(i.indisvalid, false)
  and pg_has_role(c.relowner, 'usage')
  -- The default partition has no month; the others are named by theirs.
  and c.relname ~ '^usage_buckets_\d{6}$'
  and (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') at time zone 'UTC' <= $1::timestamptz
order by c.relname
limit $2::int
