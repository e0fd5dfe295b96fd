-- An endpoint that is deleted while something is said to it gets nothing. Before, whoever said it failed: the delivery named an endpoint
-- that was gone. Its row is locked before the delivery is written, so a deletion under way is waited for, and then seen.
create or replace function weir_enqueue(p_account text, p_message text, p_type text, p_data jsonb, p_at timestamptz) returns void language sql as $$
  with endpoints as (
    select w.id from webhooks w
    where w.account = p_account and w.disabled_at is null and (w.events = '{}' or p_type = any (w.events))
    for key share
  )
  insert into deliveries (account, id, webhook, recipient, message, type, body, next_attempt_at, created_at)
  select p_account, 'dlv_' || replace(gen_random_uuid()::text, '-', ''), t.webhook, t.recipient, p_message, p_type,
         weir_message_body(p_type, p_data, p_at), p_at, p_at
  from (
    select id as webhook, null as recipient from endpoints
    union all
    select null, a.email from accounts a where a.account = p_account and a.email is not null
  ) t
$$;
