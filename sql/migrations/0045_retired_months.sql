-- Months of the usage ledger may be let go. docs/decisions/0045-detached-months.md.

-- A month is retired first: from then on nothing is counted in it, corrected or answered from it. Then its partition is detached, and is a
-- table by itself, the operator's to archive or drop.
create table retired_months (
  -- Its first instant, and the next month's, UTC.
  month       timestamptz primary key,
  ends_at     timestamptz not null check (ends_at > month),
  partition   text        not null unique,
  retired_at  timestamptz not null,
  detached_at timestamptz
);
insert into audited_tables (name, names, quiet) values ('retired_months', 'partition', '');

-- Usage before this instant is not kept. As its owner: it tells nobody's rows, and tenants' requests ask it too.
create function weir_kept_from() returns timestamptz language sql stable security definer set search_path from current as $$
  select coalesce(max(ends_at), '-infinity') from retired_months
$$;

-- Whoever corrects holds this lock together with others, whoever retires a month holds it alone.
create function weir_retiring_lock() returns bigint language sql immutable as $$ select 7193471105 $$;

-- The oldest month that the ledger has and has not retired.
create function weir_oldest_month() returns table (partition text, starts_at timestamptz, ends_at timestamptz) language sql stable as $$
  select c.relname::text, m.start at time zone 'UTC', (m.start + interval '1 month') at time zone 'UTC'
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  cross join lateral (select to_date(right(c.relname, 6), 'YYYYMM')::timestamp as start) m
  -- The default partition has no month; the others are named by theirs.
  where i.inhparent = 'usage_buckets'::regclass and c.relname ~ '^usage_buckets_\d{6}$'
    and not exists (select from retired_months r where r.partition = c.relname)
  order by c.relname
  limit 1
$$;

-- Why the ledger must not let go of what is before an instant, and the account that it is for; no row where nothing asks for it.
-- An invoice looks back two months, and at each older one that was corrected since its own month began. Five months, since the months of
-- accounts are not those of the ledger, and an invoice may wait a month as a draft.
create function weir_month_needed(p_before timestamptz) returns table (account text, reason text) language sql stable as $$
  (select p.account, 'has a billing month that is not closed' from billing_periods p
   where p.closed_at is null and p.period_end < p_before + interval '5 months' order by p.period_end, p.account limit 1)
  union all
  (select i.account, 'has an invoice that is not final' from invoices i
   where i.state = 'draft' and i.period_end < p_before + interval '5 months' order by i.period_end, i.account limit 1)
  union all
  (select c.account, 'has a correction that is not billed'
   from corrections c
   join billing_periods p on p.account = c.account and p.period_start <= c.at and p.period_end > c.at and p.month_ms > 0
   where p.period_start < p_before
     and c.created_at >= (select min(q.period_start) from billing_periods q
                          where q.account = c.account
                            and (q.closed_at is null or exists (select from invoices i where i.account = q.account and i.period_end = q.period_end
                                                                  and i.state = 'draft')))
   limit 1)
  limit 1
$$;

-- Retires the oldest month of the ledger, where it ended by p_before and nothing needs it. Never one that ended less than 14 months ago: by hour
-- a history reaches back 400 days. Answers its partition, and why it is kept all the same, or null; no row where none is that old.
create function weir_retire_month(p_before timestamptz, p_now timestamptz)
returns table (partition text, account text, reason text) language plpgsql set lock_timeout = '250ms' as $$
#variable_conflict use_column
declare
  v_before timestamptz := least(p_before, (date_trunc('month', p_now at time zone 'UTC') - interval '14 months') at time zone 'UTC');
  v_month  record;
  v_need   record;
begin
  -- Corrections that are under way are made before what follows looks, and later ones find the month retired.
  perform pg_advisory_xact_lock(weir_retiring_lock());
  select * into v_month from weir_oldest_month();
  if not found or v_month.ends_at > v_before then return; end if;
  select n.account, n.reason into v_need from weir_month_needed(v_month.ends_at) n;
  if not found then
    insert into retired_months (month, ends_at, partition, retired_at) values (v_month.starts_at, v_month.ends_at, v_month.partition, p_now);
  end if;
  return query select v_month.partition, v_need.account, v_need.reason;
end $$;

-- Detaches a month that is retired, and notes it, at once or not at all. Not concurrently, which Postgres refuses where there is a default
-- partition: it takes a moment, but waits for whoever reads or books, and others wait behind it. So it gives up soon, and is asked again.
create function weir_detach_month(p_partition text, p_now timestamptz) returns void language plpgsql set lock_timeout = '250ms' as $$
begin
  if not exists (select from retired_months r where r.partition = p_partition and r.detached_at is null) then return; end if;
  if exists (select from pg_inherits i where i.inhparent = 'usage_buckets'::regclass and i.inhrelid = to_regclass(p_partition)) then
    execute format('alter table usage_buckets detach partition %I', p_partition);
  end if;
  -- A table by itself stands behind the wall by itself.
  if to_regclass(p_partition) is not null then
    insert into walled_tables (name, tenant) values (p_partition, 'none') on conflict (name) do nothing;
    perform weir_build_wall(to_regclass(p_partition), 'none');
  end if;
  update retired_months r set detached_at = p_now where r.partition = p_partition;
end $$;

revoke execute on function weir_retire_month, weir_detach_month from public;

-- As in 0025, but a month that is retired does not come again.
create or replace function weir_ensure_partition(at timestamptz) returns void language plpgsql
security definer set search_path from current as $$
declare
  first timestamptz := date_trunc('month', at at time zone 'UTC') at time zone 'UTC';
  next  timestamptz := (date_trunc('month', at at time zone 'UTC') + interval '1 month') at time zone 'UTC';
  name  text := 'usage_buckets_' || to_char(first at time zone 'UTC', 'YYYYMM');
begin
  if to_regclass(name) is not null or at < weir_kept_from() then return; end if;
  perform pg_advisory_xact_lock(hashtext('weir_ensure_partition'));
  if to_regclass(name) is not null then return; end if;
  -- Rows that came before their partition wait in the default one; attaching would refuse them, so they stay there.
  if exists (select 1 from usage_buckets_default where bucket >= first and bucket < next) then return; end if;
  -- Again "if not exists": a session that waited above may still remember that it was not there.
  execute format('create table if not exists %I partition of usage_buckets for values from (%L) to (%L)', name, first, next);
end $$;

-- From when on an account's usage may be corrected: a billing month that has lost a part of its usage is not rated again.
create function weir_correctable_from(p_account text) returns timestamptz language sql stable as $$
  select greatest(k.kept_from, (select max(p.period_end) from billing_periods p
                                where p.account = p_account and p.period_start < k.kept_from and p.month_ms > 0))
  from (select weir_kept_from() as kept_from) k
$$;

-- As in 0006. Of what is before weir_correctable_from it makes no entry, and answers nothing; one that is there already is answered.
create or replace function weir_correct(
  p_account text, p_meter text, p_quantity bigint, p_at timestamptz, p_reason text, p_key text, p_request text, p_made_by text, p_now timestamptz
) returns setof corrections language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(weir_retiring_lock());
  perform 1 from accounts a where a.account = p_account for no key update;
  if not found then return; end if;
  return query select c.* from corrections c where c.account = p_account and c.idempotency_key = p_key;
  if found or p_at < weir_correctable_from(p_account) then return; end if;
  update accounts a set foreign_seq = a.foreign_seq + 1 where a.account = p_account;
  return query
    insert into corrections as c (account, number, meter, quantity, at, reason, idempotency_key, request, made_by, created_at)
    select p_account, 1 + coalesce((select max(n.number) from corrections n where n.account = p_account), 0),
           p_meter, p_quantity, p_at, p_reason, p_key, p_request, p_made_by, p_now
    returning c.*;
end $$;
