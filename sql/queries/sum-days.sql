-- Sums the hours of a UTC month by day, for accounts whose billing of it is over. Sums of every UTC day, every billing month and every hour in
-- which a subscription changed stay what they were. Run again it finds what came in between, if anything.
-- $1 accounts after this id  $2 accounts at most int  $3 the month's start timestamptz  $4 its end
-- Answers one row: last, the last account looked at, null when there was none; hours, the rows that went; days, those that came.
with candidates as materialized (
  select a.account from accounts a where a.account > $1::text and a.summed_before < $4::timestamptz order by a.account limit $2::int
), locked as materialized (
  -- The account's row first, in order, as book-usage.sql does: what it books afterwards, it books knowing of the sums.
  select a.account from accounts a
  where a.account = any (array(
    select c.account from candidates c
    where not exists (select from billing_periods p where p.account = c.account and p.closed_at is null and p.period_start < $4::timestamptz)
      and not exists (select from invoices i where i.account = c.account and i.state = 'draft' and i.period_start < $4::timestamptz)))
  order by a.account for no key update
), marked as (
  update accounts a set summed_before = $4::timestamptz from locked l where a.account = l.account
), gone as materialized (
  delete from usage_buckets u using locked l
  where u.account = l.account and u.bucket >= $3::timestamptz and u.bucket < $4::timestamptz and not (u.epoch = 0 and u.source = 'days')
  returning u.account, u.bucket, u.meter, u.service, u.namespace, u.quantity
), stretches as materialized (
  select h.account, h.bucket, greatest(
    date_trunc('day', h.bucket, 'UTC'),
    (select p.period_start from billing_periods p where p.account = h.account and p.period_end > h.bucket order by p.period_end limit 1),
    (select max(e.edge)
     from subscriptions s
     cross join unnest(array[s.starts_at, s.trial_ends_at]) as c (at)
     -- An hour in which something changed stays by itself, whichever side it is counted to.
     cross join unnest(array[date_trunc('hour', c.at), date_trunc('hour', c.at) + interval '1 hour']) as e (edge)
     where s.account = h.account and e.edge <= h.bucket)) as since
  from (select distinct account, bucket from gone) h
), sums as (
  -- Epoch 0 is never a life in Redis. A sum stands in the first hour that is in it.
  insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
  select g.account, min(g.bucket), g.meter, g.service, g.namespace, 0, 'days', sum(g.quantity)
  from gone g join stretches using (account, bucket)
  group by g.account, stretches.since, g.meter, g.service, g.namespace
  on conflict on constraint usage_buckets_pkey do update set quantity = u.quantity + excluded.quantity
  returning 1
)
select (select max(account) from candidates) as last, (select count(*) from gone)::int as hours, (select count(*) from sums)::int as days
