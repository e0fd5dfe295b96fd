-- The users of a deployment, each with no more than it needs. Run it once, as an administrator of the server, in Weir's database:
-- `weir roles | psql "$ADMIN_URL"`, or `weir roles --apply` with DATABASE_URL set to that administrator's. It may run again.
-- Passwords are yours to set: alter role weir_api password '...';
--
--   weir_migrator  owns the tables: `weir migrate`, and whoever starts Weir with an older schema
--   weir_api       reads and writes rows; makes, changes and drops no table, and writes no audit entry but through its function
--   weir_worker    the same; apart, so that its password is another and its connections can be told from the API's
--   weir_readonly  reads rows, but no secret and no hash of one: for people and reports
--   weir_tenant    nobody logs in as it: what tenants' requests run as, behind the second wall

do $$
declare
  v_role name;
  v_item record;
begin
  foreach v_role in array array['weir_migrator', 'weir_api', 'weir_worker', 'weir_readonly'] loop
    if not exists (select from pg_roles where rolname = v_role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole nobypassrls', v_role);
    end if;
    execute format('grant connect on database %I to %I', current_database(), v_role);
  end loop;
  if not exists (select from pg_roles where rolname = 'weir_tenant') then
    create role weir_tenant nologin nosuperuser nobypassrls;
  end if;
  grant weir_tenant to weir_migrator, weir_api, weir_worker;

  -- Nobody but the migrator makes anything here.
  execute format('revoke create on schema %I from public', current_schema());
  execute format('grant usage, create on schema %I to weir_migrator', current_schema());
  for v_item in
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and to_regclass('weir_migrations') is not null
  loop
    execute format('alter table %s owner to weir_migrator', v_item.name);
  end loop;
  for v_item in
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace = current_schema()::regnamespace and p.proname like 'weir\_%'
  loop
    execute format('alter function %s owner to weir_migrator', v_item.name);
  end loop;
  -- Before the first migration there is nothing yet to be given.
  if to_regprocedure('weir_build_walls()') is not null then perform weir_build_walls(); end if;
end $$;
