-- The second wall: what a tenant's request asks of Postgres, it asks as weir_tenant, which sees the rows of one account and no others,
-- whatever the statement says. docs/decisions/0011-row-level-security.md.

-- Roles belong to the server, not to the database: another Weir on it may have made them. Where this user may not make roles, an
-- administrator can (sql/roles.sql); until then there is no second wall, and the doctor says so.
do $$
begin
  if not exists (select from pg_roles where rolname = 'weir_tenant') then
    create role weir_tenant nologin;
  end if;
  execute format('grant weir_tenant to %I', current_user);
exception
  when insufficient_privilege or duplicate_object or unique_violation or internal_error then null;
end $$;

-- What weir_tenant may do with a table of accounts' rows: 'none', 'read' or 'write'. A table that is not named is written: tenants' requests
-- come and go with routes; what counts, bills and proves is named.
create table walled_tables (
  name   text primary key,
  tenant text not null check (tenant in ('none', 'read', 'write'))
);
insert into walled_tables (name, tenant) values
  ('api_keys', 'none'),
  ('audit_log', 'none'),
  ('audit_heads', 'none'),
  ('accounts', 'read'),
  ('subscriptions', 'read'),
  ('billing_terms', 'read'),
  ('corrections', 'read'),
  ('grants', 'read'),
  ('level_grants', 'read'),
  ('usage_buckets', 'read'),
  ('gauge_buckets', 'read'),
  ('object_levels', 'read'),
  ('idempotency_keys', 'none'),
  ('leases', 'read'),
  ('billing_periods', 'read'),
  ('invoices', 'read'),
  ('credit_notes', 'read'),
  ('document_numbers', 'read'),
  ('parked_accounts', 'none');

-- An API that may not make tables starts a month all the same.
alter function weir_ensure_partition(timestamptz) security definer set search_path from current;
revoke execute on function weir_ensure_partition from public;

-- Gives the roles that there are what they need of one table, and the wall before it.
create function weir_build_wall(p_table regclass, p_tenant text) returns void language plpgsql as $$
declare
  v_role    name;
  v_account boolean := exists (select from pg_attribute where attrelid = p_table and attname = 'account' and not attisdropped);
  v_name    text := (select relname from pg_class where oid = p_table);
  -- Of what proves, and of what says how the rest is guarded, nobody who serves requests changes a row.
  v_rights  text := case when v_name in ('audit_log', 'audit_heads', 'audited_tables', 'walled_tables', 'weir_migrations') then 'select'
                         when v_name in ('corrections', 'catalog_versions', 'credit_notes', 'document_numbers') then 'select, insert'
                         else 'select, insert, update, delete' end;
  v_columns text;
begin
  if v_account then execute format('alter table %s enable row level security', p_table); end if;
  for v_role in select rolname from pg_roles where rolname in ('weir_api', 'weir_worker', 'weir_readonly') loop
    execute format('revoke all on %s from %I', p_table, v_role);
    if v_account then
      execute format('drop policy if exists %I on %s', 'rows_for_' || v_role, p_table);
      execute format('create policy %I on %s to %I using (true) with check (true)', 'rows_for_' || v_role, p_table, v_role);
    end if;
    if v_role = 'weir_readonly' then
      select string_agg(quote_ident(attname), ', ') into v_columns
      from pg_attribute
      where attrelid = p_table and attnum > 0 and not attisdropped and attname not in ('secret_hash', 'secret', 'previous_secret');
      execute format('grant select (%s) on %s to %I', v_columns, p_table, v_role);
    else
      execute format('grant %s on %s to %I', v_rights, p_table, v_role);
    end if;
  end loop;

  if not v_account or not exists (select from pg_roles where rolname = 'weir_tenant') then return; end if;
  execute format('drop policy if exists own_rows on %s', p_table);
  -- Without a name in the session the setting is unknown: an error, not an empty answer.
  execute format('create policy own_rows on %s to weir_tenant using (account = current_setting(''weir.account'')) with check (account = current_setting(''weir.account''))', p_table);
  execute format('revoke all on %s from weir_tenant', p_table);
  if p_tenant <> 'none' then execute format('grant select on %s to weir_tenant', p_table); end if;
  if p_tenant = 'write' then execute format('grant insert, update, delete on %s to weir_tenant', p_table); end if;
end $$;

-- The same for every table. The migrator calls it after each migration and sql/roles.sql at its end; it may run at any time. A partition is
-- reached through its table only.
create function weir_build_walls() returns void language plpgsql as $$
declare
  v_role name;
begin
  perform weir_build_wall(c.oid, coalesce(w.tenant, 'write'))
  from pg_class c left join walled_tables w on w.name = c.relname
  where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition;

  for v_role in select rolname from pg_roles where rolname in ('weir_tenant', 'weir_api', 'weir_worker', 'weir_readonly') loop
    execute format('grant usage on schema %I to %I', current_schema(), v_role);
    if v_role <> 'weir_readonly' then execute format('grant execute on function weir_audit to %I', v_role); end if;
    if v_role in ('weir_api', 'weir_worker') then execute format('grant execute on function weir_ensure_partition to %I', v_role); end if;
  end loop;
  if exists (select from pg_roles where rolname = 'weir_tenant') then
    grant select on catalog_versions to weir_tenant;
    -- A cap that a tenant sets raises it.
    grant update (limits_version) on accounts to weir_tenant;
  end if;
end $$;
select weir_build_walls();
