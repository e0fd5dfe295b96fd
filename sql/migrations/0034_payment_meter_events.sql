-- Usage that is counted at a provider's meters: how much of each hour was told there. docs/payments.md.

create table payment_meter_events (
  account         text        not null references accounts,
  provider        text        not null check (provider = 'stripe'),
  meter           text        not null,
  bucket          timestamptz not null,
  -- Of the hour's usage, what was told for certain.
  sent            bigint      not null default 0 check (sent >= 0),
  -- What is to be told up to; fixed until it was, so that every attempt tells the same. Null where nothing is to be told.
  pending         bigint      check (pending > sent),
  -- When this event may first have arrived without an answer; null where it certainly has not.
  unanswered_at   timestamptz,
  -- Unanswered for so long that the other side may count it again: the operator's to look at.
  parked          boolean     not null default false,
  failures        integer     not null default 0 check (failures >= 0),
  next_attempt_at timestamptz not null,
  lease           text,
  error           text,
  primary key (account, meter, bucket, provider)
);
create index payment_meter_events_due on payment_meter_events (provider, next_attempt_at) where pending is not null and not parked;
create index payment_meter_events_parked on payment_meter_events (bucket) where parked;
create index payment_meter_events_by_time on payment_meter_events (bucket);

insert into walled_tables (name, tenant) values ('payment_meter_events', 'none');

-- Notes hours in [p_from, p_to) of which less was told than is booked, of accounts that the provider knows. An hour of which something is
-- being told waits. At most p_limit; answers how many.
create function weir_plan_meter_events(p_provider text, p_meters text[], p_from timestamptz, p_to timestamptz, p_limit integer, p_now timestamptz)
returns integer language sql as $$
  with booked as (
    select c.account, u.meter, u.bucket, sum(u.quantity)::bigint as quantity
    from payment_customers c
    join usage_buckets u on u.account = c.account and u.bucket >= p_from and u.bucket < p_to and u.meter = any (p_meters)
    where c.provider = p_provider
    group by c.account, u.meter, u.bucket
  ), more as (
    select b.* from booked b
    left join payment_meter_events e on e.account = b.account and e.meter = b.meter and e.bucket = b.bucket and e.provider = p_provider
    where b.quantity > coalesce(e.sent, 0) and e.pending is null
    order by b.bucket, b.account, b.meter
    limit p_limit
  ), planned as (
    insert into payment_meter_events as e (account, provider, meter, bucket, pending, next_attempt_at)
    select m.account, p_provider, m.meter, m.bucket, m.quantity, p_now from more m
    on conflict (account, meter, bucket, provider) do update set pending = excluded.pending, next_attempt_at = p_now, failures = 0
    where e.pending is null and excluded.pending > e.sent
    returning 1
  )
  select count(*)::integer from planned
$$;

-- Takes one event that is due, until p_leased_until. The provider knows an event again for a day: one that may have arrived before
-- p_certain_after, and was never answered, is parked. One of an hour before p_oldest is refused there, and left alone here.
create function weir_claim_meter_event(
  p_provider text, p_oldest timestamptz, p_certain_after timestamptz, p_now timestamptz, p_lease text, p_leased_until timestamptz
) returns table (account text, meter text, bucket timestamptz, sent bigint, pending bigint, failures integer, customer text) language sql as $$
  update payment_meter_events e set parked = true, lease = null, error = 'Not answered for a day: it may have been counted, or not.'
  where e.provider = p_provider and e.pending is not null and not e.parked and e.next_attempt_at <= p_now and e.unanswered_at < p_certain_after;

  with taken as (
    update payment_meter_events e set lease = p_lease, next_attempt_at = p_leased_until, unanswered_at = coalesce(e.unanswered_at, p_now)
    from (
      select n.account, n.meter, n.bucket from payment_meter_events n
      where n.provider = p_provider and n.pending is not null and not n.parked and n.next_attempt_at <= p_now and n.bucket >= p_oldest
      order by n.next_attempt_at
      limit 1
      for update of n skip locked
    ) p
    where e.account = p.account and e.meter = p.meter and e.bucket = p.bucket and e.provider = p_provider
    returning e.*
  )
  select t.account, t.meter, t.bucket, t.sent, t.pending, t.failures, c.customer
  from taken t join payment_customers c on c.account = t.account and c.provider = t.provider
$$;
