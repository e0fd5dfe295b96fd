-- Usage events: which ones were counted already.

-- One row is one event that was counted: half a SHA-256 of who sent it, its source and its id, so 16 bytes instead of up to 574.
-- One table and one unique index, not a partition a day: two copies of an event that arrive on either side of midnight, or from
-- processes whose clocks differ, must meet in the same index, and a partitioned index would have to hold the day.
create table event_keys (
  key         uuid        primary key,
  received_at timestamptz not null
);

-- For forgetting the oldest. All rows of a batch bear one time and come in order, so the index stays small and grows at one end.
create index event_keys_by_time on event_keys (received_at);

-- A day's rows leave in small batches: their room must be found again before the table has grown by a tenth.
alter table event_keys set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

-- Counts events whose key is new: notes the key and adds the event's lines to the hour buckets, in one statement. Additive, unlike
-- the totals of sources: the key is what makes a repetition safe. Parameters and answer: sql/queries/book-events.sql.
-- A function for the sake of one setting: after five runs of a statement Postgres plans it for arrays of ten elements, joins them
-- by nested loops, and 1,000 events took 70 ms instead of 8.
create function weir_book_events(
  p_accounts text[], p_expected bigint[], p_keys uuid[], p_key_accounts text[], p_now timestamptz,
  p_places int[], p_buckets timestamptz[], p_meters text[], p_services text[], p_namespaces text[], p_quantities bigint[]
) returns table (account text, foreign_seq bigint, places int[]) language plpgsql set enable_nestloop = off as $$
#variable_conflict use_column
begin
  return query
  with locked as materialized (
    -- The account's row first, in order, as book-usage.sql does. Every row is locked before the first key is written (the keys are
    -- sorted in between), and keys are written in order too: two batches that share events cannot wait for each other.
    select a.account, a.foreign_seq
    from accounts a join unnest(p_accounts, p_expected) as w (account, expected) on w.account = a.account
    where a.account = any (p_accounts) and (w.expected is null or w.expected = a.foreign_seq)
    order by a.account for no key update of a
  ), events as materialized (
    select t.key, t.account, t.place::int as place
    from unnest(p_keys, p_key_accounts) with ordinality as t (key, account, place) join locked using (account)
  ), fresh as (
    insert into event_keys (key, received_at) select key, p_now from events order by key
    on conflict do nothing
    returning key
  ), counted as materialized (
    select e.place, e.account from fresh join events e using (key)
  ), added as (
    -- Epoch 0 is never a life in Redis: what is booked under it is foreign to every epoch, and granted to none.
    insert into usage_buckets as u (account, bucket, meter, service, namespace, epoch, source, quantity)
    select c.account, l.bucket, l.meter, l.service, l.namespace, 0, 'events', sum(l.quantity)
    from counted c
    join unnest(p_places, p_buckets, p_meters, p_services, p_namespaces, p_quantities)
      as l (place, bucket, meter, service, namespace, quantity) using (place)
    group by 1, 2, 3, 4, 5
    order by 1, 2, 3, 4, 5
    on conflict on constraint usage_buckets_pkey do update set quantity = u.quantity + excluded.quantity
    returning u.account
  ), told as (
    update accounts a set foreign_seq = a.foreign_seq + 1 where a.account = any (array(select account from added))
    returning a.account, a.foreign_seq
  )
  select l.account, coalesce(t.foreign_seq, l.foreign_seq), coalesce(c.places, '{}')
  from locked l
  left join told t using (account)
  left join (select account, array_agg(place) as places from counted group by account) c using (account);
end $$;
