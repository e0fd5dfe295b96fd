-- The audit log: who did what to which account, in the statement that did it, chained by hashes.

create table audit_log (
  -- The account it is about; '' for what is about none. Each account's entries are a chain of their own, so that two accounts never wait
  -- for one another.
  account   text        not null,
  -- Counts from 1 per chain, without gaps.
  number    bigint      not null,
  -- The order over all chains.
  seq       bigint      generated always as identity,
  at        timestamptz not null,
  -- The key that asked ('operator' for the operator's own), its scope, and what it asked for. Of what nobody asked for: 'weir', 'system', ''.
  actor     text        not null,
  scope     text        not null,
  operation text        not null,
  -- What was done: <table>.<insert|update|delete>, or the operation where no row of these tables moved.
  action    text        not null,
  target    text        not null,
  -- What changed, {column: {old, new}}, as JSON; secrets and what people wrote are named, not shown.
  detail    text        not null,
  previous  bytea       not null,
  hash      bytea       not null,
  primary key (account, number)
);
create unique index audit_log_in_order on audit_log (seq);

-- The last entry of each chain.
create table audit_heads (
  account text   primary key,
  number  bigint not null,
  hash    bytea  not null
);

create trigger audit_log_append_only before update or delete or truncate on audit_log
for each statement execute function weir_refuse_edit();
create trigger audit_heads_kept before delete or truncate on audit_heads
for each statement execute function weir_refuse_edit();

-- The hash of an entry: of each member, its length and itself. src/audit/entry.ts says the same.
create function weir_audit_hash(p_entry audit_log) returns bytea language sql stable as $$
  select sha256(convert_to(string_agg(octet_length(m.text) || ':' || m.text, ',' order by m.place), 'UTF8'))
  from unnest(array[
    encode(p_entry.previous, 'hex'), p_entry.account, p_entry.number::text,
    to_char(p_entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    p_entry.actor, p_entry.scope, p_entry.operation, p_entry.action, p_entry.target, p_entry.detail
  ]) with ordinality as m (text, place)
$$;

-- Appends an entry. Who asks is said by the session (src/stores/sessions.ts); a session that must say it and does not, gets an error of its
-- own, WE001, and nothing is done. It takes the chain's lock, so call it last. As its owner, since nobody else may write here.
create function weir_audit(p_account text, p_action text, p_target text, p_detail jsonb) returns void
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
  update audit_heads h set hash = v_entry.hash where h.account = p_account;
end $$;
revoke execute on function weir_audit from public;

-- Appends what happened to a row. Arguments: columns that name it, and columns whose changes are nobody's doing, each list by commas.
create function weir_audit_row() returns trigger language plpgsql security definer set search_path from current as $$
declare
  v_old    jsonb := case when tg_op = 'INSERT' then '{}'::jsonb else to_jsonb(old) end;
  v_new    jsonb := case when tg_op = 'DELETE' then '{}'::jsonb else to_jsonb(new) end;
  v_row    jsonb := v_old || v_new;
  v_hidden text[] := array['secret_hash', 'secret', 'previous_secret', 'name', 'email', 'description', 'url', 'worker_url', 'reason', 'request',
                           'idempotency_key', 'document', 'used_before', 'payment'];
  v_names  text[] := string_to_array(tg_argv[0], ',');
  v_quiet  text[] := string_to_array(tg_argv[1], ',') || array['account', 'created_at', 'updated_at'];
  v_detail jsonb;
begin
  select jsonb_object_agg(k.name, case when k.name = any (v_hidden) then '"not shown"'::jsonb
                                       else jsonb_strip_nulls(jsonb_build_object('old', v_old->k.name, 'new', v_new->k.name)) end)
  into v_detail
  from jsonb_object_keys(v_row) as k (name)
  where coalesce(v_old->k.name, 'null') is distinct from coalesce(v_new->k.name, 'null') and k.name <> all (v_quiet);
  if v_detail is null and tg_op = 'UPDATE' then return null; end if;
  perform weir_audit(coalesce(v_row->>'account', ''), tg_table_name || '.' || lower(tg_op),
    (select coalesce(string_agg(v_row->>n.name, '/' order by n.place), '') from unnest(v_names) with ordinality as n (name, place)),
    coalesce(v_detail, '{}'));
  return null;
end $$;

-- Has the audit log written for every table that is named here and there, whoever changes its rows. The migrator calls it after each
-- migration, so that a table that comes later needs a line here in a migration of its own, and a new column needs nothing.
create table audited_tables (
  name  text primary key,
  -- Columns that name a row, and those whose changes are Weir's own bookkeeping.
  names text not null,
  quiet text not null,
  -- Made by Weir itself, month by month, and numbered: what is told is what people do to it.
  made_by_weir boolean not null default false
);
insert into audited_tables (name, names, quiet) values
  ('accounts', 'account', 'limits_version,epoch,last_epoch,foreign_seq'),
  ('subscriptions', 'plan', ''),
  ('billing_terms', 'starts_at', ''),
  ('caps', 'meter,period', ''),
  ('api_keys', 'id', 'last_used_at'),
  ('webhooks', 'id', 'first_failure_at,paused_until'),
  ('corrections', 'number', ''),
  ('services', 'service', ''),
  ('state_namespaces', 'service,name', ''),
  ('catalog_versions', 'version', ''),
  ('credit_notes', 'id', 'period_end');
insert into audited_tables (name, names, quiet, made_by_weir) values
  ('invoices', 'id', 'id,period_start,period_end,number,currency,lines,total,tax,credited,drafted_at,finalized_at,state', true);

create function weir_watch_tables() returns void language plpgsql as $$
declare
  v_table record;
begin
  for v_table in
    select t.name, t.names, t.quiet, t.made_by_weir, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
    from audited_tables t
    join pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
     and a.attname <> all (string_to_array(t.quiet, ',') || array['created_at', 'updated_at'])
    group by t.name, t.names, t.quiet, t.made_by_weir
  loop
    -- By column: bookkeeping touches accounts many times a second, and must not even wake the trigger.
    execute format('create or replace trigger audited after %s update of %s on %I for each row execute function weir_audit_row(%L, %L)',
      case when v_table.made_by_weir then '' else 'insert or delete or' end, v_table.columns, v_table.name, v_table.names, v_table.quiet);
  end loop;
end $$;
select weir_watch_tables();
