-- Alarms of State objects, at most one an object. What is due is found here: whoever rings is only a doorbell.

create table state_alarms (
  account      text        not null,
  namespace    bigint      not null,
  object       text        not null,
  service      text        not null,
  -- New with every setting: the end of an attempt leaves an alarm that was set meanwhile alone.
  setting      text        not null,
  scheduled_at timestamptz not null,
  -- When the next attempt may be made; null for an alarm that was deleted while an attempt was under way.
  due_at       timestamptz,
  -- Attempts that failed.
  failures     integer     not null default 0 check (failures >= 0),
  -- Why the last attempt failed, or why none is made.
  trouble      text,
  -- Who has the alarm in hand, and until when: one whose deliverer was killed is due again by itself.
  lease        text,
  leased_until timestamptz,
  primary key (account, namespace, object),
  foreign key (account, namespace) references state_namespaces,
  check ((lease is null) = (leased_until is null)),
  check (due_at is not null or lease is not null)
);
create index state_alarms_due on state_alarms (due_at) where due_at is not null;
create index state_alarms_waiting on state_alarms (account, service, due_at) where due_at is not null;
create index state_alarms_leased on state_alarms (account, service) where lease is not null;
create index state_alarms_troubled on state_alarms (account, service) where trouble is not null;

-- The services with alarms that are due: told by the oldest p_look of them or, when there are more, by hopping over the index from
-- service to service, so that a million alarms of one service hide nobody else's.
create function weir_services_with_due_alarms(p_now timestamptz, p_look integer)
returns table (account text, service text, due_at timestamptz) language plpgsql stable as $$
declare
  v_seen integer;
begin
  select count(*) into v_seen from (select 1 from state_alarms a where a.due_at <= p_now limit p_look) d;
  if v_seen < p_look then
    return query select a.account, a.service, min(a.due_at) from state_alarms a where a.due_at <= p_now group by a.account, a.service;
    return;
  end if;
  return query
  with recursive waiting as (
    (select a.account, a.service, a.due_at from state_alarms a where a.due_at is not null order by a.account, a.service, a.due_at limit 1)
    union all
    select n.account, n.service, n.due_at from waiting p cross join lateral (
      select a.account, a.service, a.due_at from state_alarms a
      where a.due_at is not null and (a.account, a.service) > (p.account, p.service)
      order by a.account, a.service, a.due_at limit 1
    ) n
  )
  select w.account, w.service, w.due_at from waiting w where w.due_at <= p_now;
end $$;

-- Alarms of a service that a deliverer has in hand.
create function weir_alarms_under_way(p_account text, p_service text, p_now timestamptz) returns integer language sql stable as $$
  select count(*)::integer from state_alarms a
  where a.account = p_account and a.service = p_service and a.lease is not null and a.leased_until > p_now
$$;

-- Puts the due alarms of a service that nobody has in hand off, up to p_limit of them, and says why.
create function weir_put_off_alarms(p_account text, p_service text, p_now timestamptz, p_until timestamptz, p_trouble text, p_limit integer)
returns void language sql as $$
  update state_alarms a set due_at = p_until, trouble = p_trouble
  from (
    select n.namespace, n.object from state_alarms n
    where n.account = p_account and n.service = p_service and n.due_at <= p_now and (n.lease is null or n.leased_until <= p_now)
    order by n.due_at
    limit p_limit
    for no key update skip locked
  ) p
  where a.account = p_account and a.namespace = p.namespace and a.object = p.object
$$;

-- Takes up to p_limit due alarms for a deliverer, until p_leased_until; no service has more than p_per_service in hand, over all
-- deliverers. The services are locked first, and a statement of its own counts then: it sees all that another deliverer took before it
-- gave the lock back. Alarms of a service without a worker are put off until p_parked_until; those of a deleted namespace go.
create function weir_claim_alarms(
  p_now timestamptz, p_lease text, p_leased_until timestamptz, p_limit integer, p_per_service integer, p_look integer, p_parked_until timestamptz
) returns table (
  account text, namespace bigint, object text, service text, setting text, scheduled_at timestamptz, failures integer,
  namespace_name text, namespace_created_at timestamptz, worker_url text
) language plpgsql as $$
declare
  v_accounts text[];
  v_services text[];
begin
  delete from state_alarms a where a.lease is not null and a.leased_until <= p_now and a.due_at is null;

  perform weir_put_off_alarms(d.account, d.service, p_now, p_parked_until, 'no_worker', p_look)
  from weir_services_with_due_alarms(p_now, p_look) d
  where not exists (select from services s where s.account = d.account and s.service = d.service and s.worker_url is not null);

  select array_agg(l.account), array_agg(l.service) into v_accounts, v_services
  from (
    select s.account, s.service
    from weir_services_with_due_alarms(p_now, p_look) d join services s on s.account = d.account and s.service = d.service
    where s.worker_url is not null and weir_alarms_under_way(s.account, s.service, p_now) < p_per_service
    order by d.due_at
    limit p_limit
    for no key update of s skip locked
  ) l;
  if v_accounts is null then return; end if;

  return query
  with workers as (
    select s.account, s.service, s.worker_url, p_per_service - weir_alarms_under_way(s.account, s.service, p_now) as room
    from unnest(v_accounts, v_services) as l (account, service) join services s on s.account = l.account and s.service = l.service
  ), picked as (
    select d.account, d.namespace, d.object, w.worker_url, n.name, n.created_at, n.deleted_at
    from workers w
    cross join lateral (
      select a.account, a.namespace, a.object from state_alarms a
      where a.account = w.account and a.service = w.service and a.due_at <= p_now and (a.lease is null or a.leased_until <= p_now)
      order by a.due_at
      limit greatest(0, w.room)
      for no key update of a skip locked
    ) d
    join state_namespaces n on n.account = d.account and n.number = d.namespace
    limit p_limit
  ), gone as (
    delete from state_alarms a using picked p
    where p.deleted_at is not null and a.account = p.account and a.namespace = p.namespace and a.object = p.object
  )
  update state_alarms a set lease = p_lease, leased_until = p_leased_until
  from picked p
  where p.deleted_at is null and a.account = p.account and a.namespace = p.namespace and a.object = p.object
  returning a.account, a.namespace, a.object, a.service, a.setting, a.scheduled_at, a.failures, p.name, p.created_at, p.worker_url;
end $$;

-- Books how an attempt ended: 'delivered', 'given_up', or 'again' at p_next, failed or only put off. An attempt whose lease went to
-- another deliverer changes nothing, unless it delivered: then the alarm is done. What was set meanwhile stays as it was set.
create function weir_end_alarm_attempt(
  p_account text, p_namespace bigint, p_object text, p_lease text, p_setting text,
  p_outcome text, p_failed boolean, p_next timestamptz, p_trouble text
) returns void language plpgsql as $$
begin
  delete from state_alarms a
  where a.account = p_account and a.namespace = p_namespace and a.object = p_object and (
    (p_outcome = 'delivered' and a.setting = p_setting)
    or (a.lease = p_lease and (a.due_at is null or (p_outcome = 'given_up' and a.setting = p_setting)))
  );
  update state_alarms a set
    lease = null,
    leased_until = null,
    due_at = case when a.setting = p_setting and p_outcome = 'again' then p_next else a.due_at end,
    failures = a.failures + case when a.setting = p_setting and p_failed then 1 else 0 end,
    trouble = case when a.setting = p_setting then p_trouble else a.trouble end
  where a.account = p_account and a.namespace = p_namespace and a.object = p_object and a.lease = p_lease;
end $$;
