-- The head of an account's audit chain is found by its key.
--
-- As in 0024, but for the last statement. Called by a trigger, p_account has the collation of that trigger's table name, "C", in which no
-- index here is sorted: each audited change read the heads of all accounts. A column of a row has the table's own.
create or replace function weir_audit(p_account text, p_action text, p_target text, p_detail jsonb) returns void
language plpgsql security definer set search_path from current as $$
declare
  v_caller jsonb := nullif(current_setting('weir.caller', true), '')::jsonb;
  v_entry  audit_log;
begin
  if v_caller is null and current_setting('weir.caller_required', true) = 'on' then
    raise exception 'nobody is named who asks for this' using errcode = 'WE001';
  end if;
  if current_setting('role') = 'weir_tenant' and p_account <> current_setting('weir.account') then
    raise exception 'nobody writes into another account''s log' using errcode = 'insufficient_privilege';
  end if;
  insert into audit_heads as h (account, number, hash) values (p_account, 1, ''::bytea)
  on conflict (account) do update set number = h.number + 1
  returning h.account, h.number, h.hash into v_entry.account, v_entry.number, v_entry.previous;
  v_entry.at := date_trunc('milliseconds', coalesce((v_caller->>'at')::timestamptz, clock_timestamp()));
  v_entry.actor := coalesce(v_caller->>'actor', 'weir');
  v_entry.scope := coalesce(v_caller->>'scope', 'system');
  v_entry.operation := coalesce(v_caller->>'operation', '');
  v_entry.action := p_action;
  v_entry.target := p_target;
  v_entry.detail := p_detail::text;
  v_entry.hash := weir_audit_hash(v_entry);
  insert into audit_log (account, number, at, actor, scope, operation, action, target, detail, previous, hash)
  values (v_entry.account, v_entry.number, v_entry.at, v_entry.actor, v_entry.scope, v_entry.operation, v_entry.action, v_entry.target,
          v_entry.detail, v_entry.previous, v_entry.hash);
  update audit_heads h set hash = v_entry.hash where h.account = v_entry.account;
end $$;
