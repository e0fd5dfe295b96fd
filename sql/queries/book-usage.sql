-- Books totals of sources: of what stands and what comes, the greatest. Repeating it, in any order, from anywhere, changes nothing.
-- With them, in the one statement, the idempotency keys whose operations they count; the first answer of a key stays. Booked apart,
-- a crash between the two would leave either usage that a retry counts again, or an answer whose usage nobody has (both were seen).
-- $1 account text[], each that the others name, once
-- Labels, each once: $2 bucket timestamptz[]  $3 meter text[]  $4 service text[]  $5 namespace text[]  $6 epoch bigint[]  $7 source text[]
-- Totals: $8 account text[]  $9 label int[], its place among them from 1  $10 quantity bigint[]; no total twice in one call
-- $11 account text[]  $12 key hash text[]  $13 answer text[]  $14 answered at timestamptz[]; hash and answer in base64, since the
-- driver has no array of bytea.
-- Totals of hours that are summed by day (sum-days.sql) may be in the sums, and of months that are let go nothing is counted any more: they are
-- set aside, and count nothing.
-- Answers each account's foreign_seq, and whether it rose here: then rows were not counted in the present epoch, and Redis must be told.
with locked as materialized (
  -- The account's row first, in order: opening an epoch takes the same lock, so a sum and its epoch belong together.
  select a.account, a.epoch, a.foreign_seq, greatest(a.summed_before, (select weir_kept_from())) as late_before
  from accounts a where a.account = any ($1::text[]) order by a.account for no key update
), labels as materialized (
  select * from unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
    with ordinality as t (bucket, meter, service, namespace, epoch, source, label)
), aside as (
  insert into usage_set_aside as s (account, bucket, meter, service, namespace, epoch, source, quantity)
  select l.account, b.bucket, b.meter, b.service, b.namespace, b.epoch, b.source, t.quantity
  from unnest($8::text[], $9::int[], $10::bigint[]) as t (account, label, quantity) join locked l using (account) join labels b using (label)
  -- The last condition spares looking at every row where there is nothing to set aside, which is nearly always.
  where b.bucket < l.late_before and exists (select from locked where late_before > (select min(bucket) from labels))
  order by 1, 2, 3, 4, 5, 6, 7
  on conflict (account, bucket, meter, service, namespace, epoch, source)
  do update set quantity = excluded.quantity where excluded.quantity > s.quantity
), answered as (
  insert into idempotency_keys (account, key_hash, answer, answered_at)
  select distinct on (1, 2) k.account, decode(k.key_hash, 'base64'), decode(k.answer, 'base64'), k.answered_at
  from unnest($11::text[], $12::text[], $13::text[], $14::timestamptz[]) as k (account, key_hash, answer, answered_at)
  join locked using (account)
  order by 1, 2, 4
  on conflict (account, key_hash) do nothing
), upserted as (
  insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
  select l.account, b.bucket, b.meter, b.service, b.namespace, b.epoch, b.source, t.quantity
  from unnest($8::text[], $9::int[], $10::bigint[]) as t (account, label, quantity) join locked l using (account) join labels b using (label)
  where b.bucket >= l.late_before
  order by 1, 2, 3, 4, 5, 6, 7
  on conflict (account, bucket, meter, service, namespace, epoch, source)
  do update set quantity = excluded.quantity where excluded.quantity > u.quantity
  returning u.account, u.epoch
), risen as (
  update accounts a set foreign_seq = a.foreign_seq + 1
  where a.account in (select u.account from upserted u join locked l using (account) where u.epoch <> l.epoch)
  returning a.account, a.foreign_seq
)
select l.account, coalesce(r.foreign_seq, l.foreign_seq) as foreign_seq, r.account is not null as rose
from locked l left join risen r using (account)
