-- Books totals of sources: of what stands and what comes, the greatest. Repeating it, in any order, from anywhere, changes nothing.
-- $1 account text[]  $2 bucket timestamptz[]  $3 meter text[]  $4 service text[]  $5 namespace text[]  $6 epoch bigint[]
-- $7 source text[]  $8 quantity bigint[]; no key twice in one call.
-- Answers the accounts in whose present epoch these rows were not counted: Redis must be told their new sums.
with locked as materialized (
  -- The account's row first, in order: opening an epoch takes the same lock, so a sum and its epoch belong together.
  select a.account, a.epoch from accounts a where a.account = any ($1::text[]) order by a.account for no key update
), incoming as (
  select t.*
  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[])
    as t (account, bucket, meter, service, namespace, epoch, source, quantity)
  join locked using (account)
), upserted as (
  insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
  select account, bucket, meter, service, namespace, epoch, source, quantity from incoming
  order by account, bucket, meter, service, namespace, epoch, source
  on conflict (account, bucket, meter, service, namespace, epoch, source)
  do update set quantity = excluded.quantity where excluded.quantity > u.quantity
  returning u.account, u.epoch
)
update accounts a set foreign_seq = a.foreign_seq + 1
where a.account in (select u.account from upserted u join locked l using (account) where u.epoch <> l.epoch)
returning a.account
