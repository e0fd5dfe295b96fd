-- What accounts are told: notifications, and the outbox that delivers them to webhooks and by e-mail.

create table notifications (
  account    text        not null references accounts,
  -- `msg_…`: also the `webhook-id` of every delivery of it, in all its attempts.
  id         text        not null,
  -- Orders those of one instant: 80 % was fired before 100 %.
  seq        bigint      generated always as identity,
  -- What must be said once has one key, whoever finds it and however often.
  dedupe_key text        not null check (length(dedupe_key) between 1 and 512),
  type       text        not null check (type ~ '^[A-Za-z0-9_]+([.][A-Za-z0-9_]+)*$'),
  -- Standard Webhooks wants messages below 20 kB.
  data       jsonb       not null check (octet_length(data::text) <= 16384),
  created_at timestamptz not null,
  primary key (account, id),
  unique (account, dedupe_key)
);
create index notifications_newest on notifications (account, created_at desc, seq desc);

create table webhooks (
  account               text        not null references accounts,
  id                    text        not null,
  url                   text        not null check (length(url) <= 2048),
  -- Types it wants; empty: all of them.
  events                text[]      not null,
  description           text,
  secret                bytea       not null check (length(secret) between 24 and 64),
  -- After a rotation the old secret signs too, until then: receivers change theirs without a gap.
  previous_secret       bytea       check (length(previous_secret) between 24 and 64),
  previous_secret_until timestamptz check ((previous_secret_until is null) = (previous_secret is null)),
  -- Of the failures since the last success, the first.
  first_failure_at      timestamptz,
  -- The receiver asked for fewer requests: nothing is sent before.
  paused_until          timestamptz,
  disabled_at           timestamptz,
  disabled_reason       text        check (disabled_reason in ('failing', 'gone')),
  created_at            timestamptz not null,
  primary key (account, id),
  check ((disabled_at is null) = (disabled_reason is null))
);
create index webhooks_newest on webhooks (account, created_at desc, id);

-- The outbox: one message for one endpoint or one mailbox. A row is in flight while it has a lease and `next_attempt_at`, the lease's
-- end, is still to come: those of a dispatcher that was killed are due again by themselves.
create table deliveries (
  account         text        not null references accounts,
  id              text        not null,
  seq             bigint      generated always as identity,
  webhook         text,
  recipient       text,
  message         text        not null,
  type            text        not null,
  -- The bytes that are signed and sent, the same in every attempt.
  body            bytea       not null,
  status          text        not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  next_attempt_at timestamptz not null,
  lease           text,
  attempts        integer     not null default 0,
  -- Attempts that failed since it was made or replayed. One that was cut short by a crash is an attempt, but no failure.
  failures        integer     not null default 0,
  created_at      timestamptz not null,
  finished_at     timestamptz,
  primary key (account, id),
  foreign key (account, webhook) references webhooks on delete cascade,
  check ((webhook is null) <> (recipient is null)),
  check ((status = 'pending') = (finished_at is null))
);
create index deliveries_pending on deliveries (account, webhook, next_attempt_at, seq) where status = 'pending' and webhook is not null;
create index deliveries_pending_mail on deliveries (next_attempt_at, seq) where status = 'pending' and webhook is null;
create index deliveries_newest on deliveries (account, webhook, created_at desc, seq desc);
create index deliveries_by_age on deliveries (created_at);

create table delivery_attempts (
  account     text        not null,
  delivery    text        not null,
  number      integer     not null,
  at          timestamptz not null,
  -- All null while it is under way, and for good when its dispatcher was killed.
  latency_ms  integer,
  status_code integer,
  error       text,
  answer      text        check (length(answer) <= 1024),
  primary key (account, delivery, number),
  foreign key (account, delivery) references deliveries on delete cascade
);

-- The bytes of a message, made once.
create function weir_message_body(p_type text, p_data jsonb, p_at timestamptz) returns bytea language sql stable as $$
  select convert_to('{"type":' || to_json(p_type)::text
    || ',"timestamp":"' || to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    || '","data":' || p_data::text || '}', 'UTF8')
$$;

-- Adds a message to the outbox: one delivery for each of the account's endpoints that wants it, one for its mailbox.
create function weir_enqueue(p_account text, p_message text, p_type text, p_data jsonb, p_at timestamptz) returns void language sql as $$
  insert into deliveries (account, id, webhook, recipient, message, type, body, next_attempt_at, created_at)
  select p_account, 'dlv_' || replace(gen_random_uuid()::text, '-', ''), t.webhook, t.recipient, p_message, p_type,
         weir_message_body(p_type, p_data, p_at), p_at, p_at
  from (
    select w.id as webhook, null as recipient from webhooks w
    where w.account = p_account and w.disabled_at is null and (w.events = '{}' or p_type = any (w.events))
    union all
    select null, a.email from accounts a where a.account = p_account and a.email is not null
  ) t
$$;

-- Says something to an account, once for each key: the notification and its deliveries, or nothing at all. Answers whether it was new.
-- `data` always names the account.
create function weir_notify(p_account text, p_dedupe_key text, p_type text, p_data jsonb, p_at timestamptz)
returns boolean language plpgsql as $$
declare
  v_id   text := 'msg_' || replace(gen_random_uuid()::text, '-', '');
  v_data jsonb := jsonb_build_object('account', p_account) || p_data;
begin
  insert into notifications (account, id, dedupe_key, type, data, created_at)
  values (p_account, v_id, p_dedupe_key, p_type, v_data, p_at)
  on conflict (account, dedupe_key) do nothing;
  if not found then return false; end if;
  perform weir_enqueue(p_account, v_id, p_type, v_data, p_at);
  return true;
end $$;

-- Takes up to p_limit due deliveries of webhooks for a dispatcher, until p_leased_until. No endpoint has more than p_per_endpoint in
-- flight, over all dispatchers; one that fails has one. The endpoints are locked first, and a statement of its own counts then: what it
-- sees includes all that another dispatcher took before it gave the lock back.
create function weir_claim_webhooks(p_now timestamptz, p_lease text, p_leased_until timestamptz, p_limit integer, p_per_endpoint integer)
returns table (account text, id text, message text, type text, body bytea, created_at timestamptz, attempt integer, failures integer,
               webhook text, url text, secret bytea, previous_secret bytea)
language plpgsql as $$
declare
  v_accounts text[];
  v_webhooks text[];
begin
  -- Hops over the index from endpoint to endpoint: the cost is that of the endpoints something waits for, whatever the endpoints there
  -- are (10,000 idle ones took 370 ms when each was asked) and however much waits for one of them.
  with recursive waiting as (
    (select d.account, d.webhook, d.next_attempt_at from deliveries d where d.status = 'pending' and d.webhook is not null
     order by d.account, d.webhook, d.next_attempt_at, d.seq limit 1)
    union all
    select n.account, n.webhook, n.next_attempt_at from waiting p cross join lateral (
      select d.account, d.webhook, d.next_attempt_at from deliveries d
      where d.status = 'pending' and d.webhook is not null and (d.account, d.webhook) > (p.account, p.webhook)
      order by d.account, d.webhook, d.next_attempt_at, d.seq limit 1
    ) n
  ), due as materialized (
    select w.account, w.webhook, w.next_attempt_at as at from waiting w where w.next_attempt_at <= p_now
  )
  select array_agg(l.account), array_agg(l.id) into v_accounts, v_webhooks
  from (
    select w.account, w.id
    from due join webhooks w on w.account = due.account and w.id = due.webhook
    where w.disabled_at is null and (w.paused_until is null or w.paused_until <= p_now)
      and weir_in_flight(w.account, w.id, p_now) < case when w.first_failure_at is null then p_per_endpoint else 1 end
    order by due.at
    limit p_limit
    for no key update of w skip locked
  ) l;
  if v_webhooks is null then return; end if;

  return query
  with endpoints as (
    select w.*, case when w.first_failure_at is null then p_per_endpoint else 1 end - weir_in_flight(w.account, w.id, p_now) as room
    from unnest(v_accounts, v_webhooks) as l (account, id) join webhooks w on w.account = l.account and w.id = l.id
  ), picked as (
    select d.account, d.id
    from endpoints e
    cross join lateral (
      select n.account, n.id from deliveries n
      where n.account = e.account and n.webhook = e.id and n.status = 'pending' and n.next_attempt_at <= p_now
      order by n.next_attempt_at, n.seq
      limit greatest(0, e.room)
      for no key update of n skip locked
    ) d
    limit p_limit
  ), taken as (
    update deliveries d set lease = p_lease, next_attempt_at = p_leased_until, attempts = d.attempts + 1
    from picked p where d.account = p.account and d.id = p.id
    returning d.*
  ), logged as (
    insert into delivery_attempts (account, delivery, number, at) select t.account, t.id, t.attempts, p_now from taken t
  )
  select t.account, t.id, t.message, t.type, t.body, t.created_at, t.attempts, t.failures, e.id, e.url, e.secret,
         case when e.previous_secret_until > p_now then e.previous_secret end
  from taken t join endpoints e on e.account = t.account and e.id = t.webhook
  order by t.seq;
end $$;

-- Deliveries of an endpoint that a dispatcher has in hand.
create function weir_in_flight(p_account text, p_webhook text, p_now timestamptz) returns integer language sql stable as $$
  select count(*)::integer from deliveries d
  where d.account = p_account and d.webhook = p_webhook and d.status = 'pending' and d.lease is not null and d.next_attempt_at > p_now
$$;

-- Takes up to p_limit due mails, alike. Those made before p_oldest are old news: they wait from a time when no mail was sent.
create function weir_claim_mails(p_now timestamptz, p_lease text, p_leased_until timestamptz, p_limit integer, p_oldest timestamptz)
returns table (account text, id text, message text, type text, body bytea, created_at timestamptz, attempt integer, failures integer, recipient text)
language sql as $$
  with taken as (
    update deliveries d set lease = p_lease, next_attempt_at = p_leased_until, attempts = d.attempts + 1
    from (
      select n.account, n.id from deliveries n
      where n.webhook is null and n.status = 'pending' and n.next_attempt_at <= p_now and n.created_at >= p_oldest
      order by n.next_attempt_at, n.seq
      limit p_limit
      for no key update of n skip locked
    ) p
    where d.account = p.account and d.id = p.id
    returning d.*
  ), logged as (
    insert into delivery_attempts (account, delivery, number, at) select t.account, t.id, t.attempts, p_now from taken t
  )
  select t.account, t.id, t.message, t.type, t.body, t.created_at, t.attempts, t.failures, t.recipient from taken t order by t.seq
$$;

-- Books how an attempt ended. p_next: when to try again, null for never. p_paused_until: nothing goes to the endpoint before.
-- p_gone: the receiver wants no more. An endpoint that is gone, or whose failures began at or before p_failing_since, is disabled,
-- and its account told.
-- An attempt whose lease went to another dispatcher changes nothing but the log, unless it delivered: then it is done.
create function weir_end_attempt(
  p_account text, p_delivery text, p_attempt integer, p_lease text, p_now timestamptz, p_latency_ms integer, p_status_code integer,
  p_error text, p_answer text, p_delivered boolean, p_next timestamptz, p_paused_until timestamptz, p_gone boolean, p_failing_since timestamptz
) returns void language plpgsql as $$
declare
  v_webhook webhooks;
  v_id      text;
begin
  update delivery_attempts a set latency_ms = p_latency_ms, status_code = p_status_code, error = p_error, answer = p_answer
  where a.account = p_account and a.delivery = p_delivery and a.number = p_attempt;

  update deliveries d set
    status = case when p_delivered then 'delivered' when p_next is null then 'failed' else 'pending' end,
    finished_at = case when p_delivered or p_next is null then p_now end,
    next_attempt_at = coalesce(p_next, d.next_attempt_at),
    lease = null,
    failures = d.failures + case when p_delivered then 0 else 1 end
  where d.account = p_account and d.id = p_delivery and d.status = 'pending' and (d.lease = p_lease or p_delivered)
  returning d.webhook into v_id;
  if v_id is null then return; end if;

  if p_delivered then
    update webhooks w set first_failure_at = null, paused_until = null
    where w.account = p_account and w.id = v_id and (w.first_failure_at is not null or w.paused_until is not null);
    return;
  end if;
  update webhooks w set first_failure_at = coalesce(w.first_failure_at, p_now), paused_until = greatest(w.paused_until, p_paused_until)
  where w.account = p_account and w.id = v_id;
  update webhooks w set disabled_at = p_now, disabled_reason = case when p_gone then 'gone' else 'failing' end
  where w.account = p_account and w.id = v_id and w.disabled_at is null and (p_gone or w.first_failure_at <= p_failing_since)
  returning w.* into v_webhook;
  if v_webhook.id is null then return; end if;
  perform weir_notify(p_account, 'webhook.disabled:' || v_id || ':' || extract(epoch from p_now)::text, 'webhook.disabled',
    jsonb_build_object('webhook', v_id, 'url', v_webhook.url, 'reason', v_webhook.disabled_reason), p_now);
end $$;
