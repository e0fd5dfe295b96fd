-- The audit log is sound: every entry is what was hashed, follows the one before it, and nothing is missing; its guards are on.
-- An entry's neighbours are looked up one by one (offset 0): for the entries of two hundred accounts, Postgres read all there are.
select l.account, l.number, 'is not what was hashed, or does not follow' as fault
from audit_log l
left join lateral (select p.hash from audit_log p where p.account = l.account and p.number = l.number - 1 offset 0) p on true
where l.at >= $1 and (l.hash <> weir_audit_hash(l) or l.previous is distinct from case when l.number = 1 then ''::bytea else p.hash end)
union all
select h.account, h.number, 'is not where its chain is said to stand'
from audit_heads h
left join lateral (select l.hash from audit_log l where l.account = h.account and l.number = h.number offset 0) l on true
where l.hash is distinct from h.hash or exists (select from audit_log m where m.account = h.account and m.number > h.number offset 0)
union all
select t.name, 0, 'is not watched'
from audited_tables t
where not exists (
  select from pg_trigger g where g.tgrelid = to_regclass(t.name) and g.tgname = 'audited' and g.tgenabled in ('O', 'A')
)
union all
select 'audit_log', 0, 'is not guarded against edits'
where not exists (
  select from pg_trigger g where g.tgrelid = 'audit_log'::regclass and g.tgname = 'audit_log_append_only' and g.tgenabled in ('O', 'A')
)
