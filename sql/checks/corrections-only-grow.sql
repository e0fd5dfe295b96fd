-- Corrections are numbered without gaps and guarded against edits: none was ever changed or removed.
select c.account, c.entries, c.last from (
  select account, count(*) as entries, max(number) as last from corrections group by account
) c where c.entries <> c.last
union all
select 'the guard of corrections is off', 0, 0
where not exists (
  select from pg_trigger t where t.tgrelid = 'corrections'::regclass and t.tgname = 'corrections_append_only' and t.tgenabled in ('O', 'A')
)
