-- Books buckets of gauges: of one bucket's states the latest by seq wins.
-- $1 account text[]  $2 meter text[]  $3 bucket timestamptz[]  $4 epoch bigint[]  $5 from timestamptz[]  $6 until timestamptz[]
-- $7 byte-milliseconds numeric[]  $8 level bigint[]  $9 seq bigint[]; no bucket of an epoch twice in one call. Answers nothing.
insert into gauge_buckets as g (account, meter, bucket, epoch, from_at, until_at, byte_milliseconds, level, seq)
select t.*
from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::numeric[], $8::bigint[], $9::bigint[])
  as t (account, meter, bucket, epoch, from_at, until_at, byte_milliseconds, level, seq)
order by 1, 2, 3, 4
on conflict (account, meter, bucket, epoch) do update set
  from_at = excluded.from_at, until_at = excluded.until_at, byte_milliseconds = excluded.byte_milliseconds,
  level = excluded.level, seq = excluded.seq
where excluded.seq > g.seq
