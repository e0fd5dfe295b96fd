-- Books totals of sources: of what stands and what comes, the greatest. Repeating it, in any order, from anywhere, changes nothing.
-- With them, in the one statement, the idempotency keys whose operations they count; the first answer of a key stays. Booked apart,
-- a crash between the two would leave either usage that a retry counts again, or an answer whose usage nobody has (both were seen).
-- $1 account text[]  $2 bucket timestamptz[]  $3 meter text[]  $4 service text[]  $5 namespace text[]  $6 epoch bigint[]
-- $7 source text[]  $8 quantity bigint[]; no total twice in one call
-- $9 account text[]  $10 key hash text[]  $11 answer text[]  $12 answered at timestamptz[]; hash and answer in base64, since the
-- driver has no array of bytea.
-- Totals of hours that are summed by day (sum-days.sql) may be in the sums, and of months that are let go nothing is counted any more: they are
-- set aside, and count nothing.
-- Answers the accounts in whose present epoch these rows were not counted: Redis must be told their new sums.
with locked as materialized (
  -- The account's row first, in order: opening an epoch takes the same lock, so a sum and its epoch belong together.
  select a.account, a.epoch, a.summed_before from accounts a where a.account = any ($1::text[] || $9::text[]) order by a.account for no key update
), incoming as materialized (
  select t.*, t.bucket < greatest(l.summed_before, k.kept_from) as is_late
  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[])
    as t (account, bucket, meter, service, namespace, epoch, source, quantity)
  join locked l using (account)
  cross join (select weir_kept_from() as kept_from offset 0) k
), aside as (
  insert into usage_set_aside as s (account, bucket, meter, service, namespace, epoch, source, quantity)
  select account, bucket, meter, service, namespace, epoch, source, quantity from incoming where is_late
  order by account, bucket, meter, service, namespace, epoch, source
  on conflict (account, bucket, meter, service, namespace, epoch, source)
  do update set quantity = excluded.quantity where excluded.quantity > s.quantity
), answered as (
  insert into idempotency_keys (account, key_hash, answer, answered_at)
  select distinct on (1, 2) k.account, decode(k.key_hash, 'base64'), decode(k.answer, 'base64'), k.answered_at
  from unnest($9::text[], $10::text[], $11::text[], $12::timestamptz[]) as k (account, key_hash, answer, answered_at)
  join locked using (account)
  order by 1, 2, 4
  on conflict (account, key_hash) do nothing
), upserted as (
  insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
  select account, bucket, meter, service, namespace, epoch, source, quantity from incoming where not is_late
  order by account, bucket, meter, service, namespace, epoch, source
  on conflict (account, bucket, meter, service, namespace, epoch, source)
  do update set quantity = excluded.quantity where excluded.quantity > u.quantity
  returning u.account, u.epoch
)
update accounts a set foreign_seq = a.foreign_seq + 1
where a.account in (select u.account from upserted u join locked l using (account) where u.epoch <> l.epoch)
returning a.account
