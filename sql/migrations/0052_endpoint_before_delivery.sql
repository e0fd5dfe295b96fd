-- Books how an attempt ended, as before (0009), and locks in the order in which the deletion of an endpoint does: the endpoint, its delivery,
-- the attempt; the audit log's chain after every endpoint. In another order the two waited for one another, and a deletion was answered 500.
create or replace function weir_end_attempt(
  p_account text, p_delivery text, p_attempt integer, p_lease text, p_now timestamptz, p_latency_ms integer, p_status_code integer,
  p_error text, p_answer text, p_delivered boolean, p_next timestamptz, p_paused_until timestamptz, p_gone boolean, p_failing_since timestamptz
) returns void language plpgsql as $$
declare
  v_id   text;
  v_told boolean;
begin
  perform from webhooks w
  where w.account = p_account and w.id = (select d.webhook from deliveries d where d.account = p_account and d.id = p_delivery)
  for no key update;
  perform from deliveries d where d.account = p_account and d.id = p_delivery for no key update;

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
  -- One statement: the audit log is written at its end, when the account's other endpoints are locked to be told.
  with disabled as (
    update webhooks w set disabled_at = p_now, disabled_reason = case when p_gone then 'gone' else 'failing' end
    where w.account = p_account and w.id = v_id and w.disabled_at is null and (p_gone or w.first_failure_at <= p_failing_since)
    returning w.*
  )
  select weir_notify(p_account, 'webhook.disabled:' || v_id || ':' || extract(epoch from p_now)::text, 'webhook.disabled',
    jsonb_build_object('webhook', v_id, 'url', d.url, 'reason', d.disabled_reason), p_now) into v_told
  from disabled d;
end $$;
