-- Claiming alarms, by what a deliverer can take: a service whose due alarms are all in somebody's hands is not looked at, and how many
-- a service has under way is counted once for all services.

drop function weir_claim_alarms(timestamptz, text, timestamptz, integer, integer, integer, timestamptz);
drop function weir_services_with_due_alarms(timestamptz, integer);
drop function weir_alarms_under_way(text, text, timestamptz);
drop index state_alarms_leased;
create index state_alarms_leased on state_alarms (leased_until) where lease is not null;

-- The services with alarms that are due and in nobody's hands: told by the oldest p_look of them or, when there are more, by hopping over
-- the index from service to service, so that a million alarms of one service hide nobody else's.
create function weir_services_with_due_alarms(p_now timestamptz, p_look integer)
returns table (account text, service text, due_at timestamptz) language plpgsql stable as $$
declare
  v_seen integer;
begin
  select count(*) into v_seen from (
    select 1 from state_alarms a where a.due_at <= p_now and (a.lease is null or a.leased_until <= p_now) limit p_look
  ) d;
  if v_seen < p_look then
    return query
    select a.account, a.service, min(a.due_at) from state_alarms a
    where a.due_at <= p_now and (a.lease is null or a.leased_until <= p_now)
    group by a.account, a.service;
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
  select w.account, w.service, w.due_at from waiting w
  where w.due_at <= p_now and exists (
    select from state_alarms a
    where a.account = w.account and a.service = w.service and a.due_at <= p_now and (a.lease is null or a.leased_until <= p_now)
  );
end $$;

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

  -- In the order of their oldest alarm.
  select array_agg(d.account order by d.due_at), array_agg(d.service order by d.due_at) into v_accounts, v_services
  from weir_services_with_due_alarms(p_now, p_look) d;
  if v_accounts is null then return; end if;

  perform weir_put_off_alarms(d.account, d.service, p_now, p_parked_until, 'no_worker', p_look)
  from unnest(v_accounts, v_services) as d (account, service)
  where not exists (select from services s where s.account = d.account and s.service = d.service and s.worker_url is not null);

  with under_way as (
    select a.account, a.service, count(*) as n from state_alarms a where a.lease is not null and a.leased_until > p_now group by a.account, a.service
  )
  select array_agg(l.account), array_agg(l.service) into v_accounts, v_services
  from (
    select s.account, s.service
    from unnest(v_accounts, v_services) with ordinality as d (account, service, place)
    join services s on s.account = d.account and s.service = d.service
    left join under_way u on u.account = d.account and u.service = d.service
    where s.worker_url is not null and coalesce(u.n, 0) < p_per_service
    order by d.place
    limit p_limit
    for no key update of s skip locked
  ) l;
  if v_accounts is null then return; end if;

  return query
  with under_way as (
    select a.account, a.service, count(*) as n from state_alarms a where a.lease is not null and a.leased_until > p_now group by a.account, a.service
  ), workers as (
    select s.account, s.service, s.worker_url, p_per_service - coalesce(u.n, 0) as room
    from unnest(v_accounts, v_services) as l (account, service)
    join services s on s.account = l.account and s.service = l.service
    left join under_way u on u.account = l.account and u.service = l.service
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
