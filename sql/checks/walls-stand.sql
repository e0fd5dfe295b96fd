-- Every table that holds accounts' rows stands behind the second wall, where the server has the role for it.
select null::text as account, c.relname as table_without_wall
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'account' and not a.attisdropped
where c.relnamespace = (select n.relnamespace from pg_class n where n.oid = 'accounts'::regclass)
  and c.relkind in ('r', 'p') and not c.relispartition
  and exists (select from pg_roles where rolname = 'weir_tenant')
  and (not c.relrowsecurity or not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'own_rows'))
