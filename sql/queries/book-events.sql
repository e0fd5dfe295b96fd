-- Counts usage events: those whose key was never seen add their quantities to the hour buckets, in the statement that notes the key.
-- Sent again, after an unknown end too, it adds nothing. Additive, unlike the totals of sources: the key is what makes it safe.
-- $1 account text[], each once  $2 the foreign_seq the account must have, or null, bigint[]
-- $3 event key uuid[], each once  $4 its account text[]  $5 received at timestamptz
-- lines: $6 event's place in $3 int[], from 1  $7 bucket timestamptz[]  $8 meter text[]  $9 service text[]  $10 namespace text[]
--        $11 quantity bigint[]
-- Answers a row for each account that exists and is as expected: account, its foreign_seq now, places of the events counted now.
with wanted as materialized (
  select * from unnest($1::text[], $2::bigint[]) as t (account, expected)
), locked as materialized (
  -- The account's row first, in order, as book-usage.sql does. Every row is locked before the first key is written (the keys are
  -- sorted in between), and keys are written in order too: two batches that share events cannot wait for each other.
  select a.account, a.foreign_seq
  from accounts a join wanted w on w.account = a.account and (w.expected is null or w.expected = a.foreign_seq)
  order by a.account for no key update of a
), events as materialized (
  select t.key, t.account, t.place::int as place
  from unnest($3::uuid[], $4::text[]) with ordinality as t (key, account, place) join locked using (account)
), fresh as (
  insert into event_keys (key, received_at) select key, $5::timestamptz from events order by key
  on conflict do nothing
  returning key
), counted as materialized (
  select e.place, e.account from fresh join events e using (key)
), added as (
  -- Epoch 0 is never a life in Redis: what is booked under it is foreign to every epoch, and granted to none.
  insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
  select c.account, l.bucket, l.meter, l.service, l.namespace, 0, 'events', sum(l.quantity)
  from counted c
  join unnest($6::int[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::bigint[])
    as l (place, bucket, meter, service, namespace, quantity) using (place)
  group by 1, 2, 3, 4, 5
  order by 1, 2, 3, 4, 5
  on conflict (account, bucket, meter, service, namespace, epoch, source) do update set quantity = u.quantity + excluded.quantity
  returning u.account
), told as (
  update accounts a set foreign_seq = a.foreign_seq + 1 where a.account in (select account from added)
  returning a.account, a.foreign_seq
)
select l.account, coalesce(t.foreign_seq, l.foreign_seq) as foreign_seq, coalesce(c.places, '{}') as places
from locked l
left join told t using (account)
left join (select account, array_agg(place) as places from counted group by account) c using (account)
