-- Prepaid credits: what accounts were granted, and what invoices burned of it. docs/decisions/0030-credits.md.

create table credit_grants (
  account         text        not null references accounts,
  id              text        not null,
  -- The order in which they were made.
  seq             bigint      generated always as identity,
  name            text        not null,
  kind            text        not null check (kind in ('paid', 'promotional')),
  currency        text        not null check (currency ~ '^[A-Z]{3}$'),
  -- In millionths of the currency.
  amount          bigint      not null check (amount between 1 and 9007199254740991),
  -- The lowest is burned first.
  priority        integer     not null check (priority between 0 and 100),
  -- It covers billing months that end in (effective_at, expires_at].
  effective_at    timestamptz not null,
  expires_at      timestamptz check (expires_at > effective_at),
  -- What was paid for one unit of the currency's worth.
  cost_basis      numeric     not null check (cost_basis >= 0),
  idempotency_key text        not null,
  -- The request as it was sent, in one canonical text: the same key with another request is refused.
  request         text        not null,
  -- The key that made it.
  made_by         text        not null,
  created_at      timestamptz not null,
  voided_at       timestamptz,
  primary key (account, id),
  unique (account, idempotency_key)
);
create index credit_grants_newest on credit_grants (account, seq desc);

-- What was burned of a grant by an invoice; below zero what a void invoice gave back.
create table credit_burns (
  account      text        not null,
  seq          bigint      generated always as identity,
  credit_grant text        not null,
  invoice      text        not null,
  amount       bigint      not null check (amount <> 0),
  at           timestamptz not null,
  primary key (account, seq),
  foreign key (account, credit_grant) references credit_grants
);
create index credit_burns_of_grant on credit_burns (account, credit_grant);
create unique index credit_burns_once on credit_burns (account, invoice, credit_grant) where amount > 0;

create trigger credit_burns_append_only before update or delete or truncate on credit_burns
for each statement execute function weir_refuse_edit();

-- A grant never changes, but that it may be voided, once.
create function weir_keep_credit_grant() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or old.voided_at is not null or (to_jsonb(old) - 'voided_at') is distinct from (to_jsonb(new) - 'voided_at') then
    raise exception 'credit grant % does not change', old.id using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger credit_grants_keep before update or delete on credit_grants for each row execute function weir_keep_credit_grant();

-- What is not burned of a grant.
create function weir_credit_left(p_account text, p_grant text) returns bigint language sql stable as $$
  select g.amount - coalesce((select sum(b.amount) from credit_burns b where b.account = g.account and b.credit_grant = g.id), 0)::bigint
  from credit_grants g where g.account = p_account and g.id = p_grant
$$;

-- What the lines of an invoice burn.
create function weir_burns_of(p_lines jsonb) returns table (credit_grant text, amount bigint) language sql immutable as $$
  select l.value -> 'explain' ->> 'creditGrant', -(l.value ->> 'amountUsdMicros')::bigint
  from jsonb_array_elements(p_lines) l where l.value -> 'explain' ? 'creditGrant'
$$;

-- Grants credits. Answers the outcome and, where there is one, the grant: 'made', or 'known' where its key made one before. 'too_many' is
-- for an account that has p_max grants in use. No row for an account that does not exist.
create function weir_grant_credits(
  p_account text, p_id text, p_name text, p_kind text, p_currency text, p_amount bigint, p_priority integer, p_effective_at timestamptz,
  p_expires_at timestamptz, p_cost_basis numeric, p_key text, p_request text, p_made_by text, p_max integer, p_now timestamptz
) returns table (outcome text, id text, request text) language plpgsql as $$
#variable_conflict use_column
begin
  perform 1 from accounts a where a.account = p_account for no key update;
  if not found then return; end if;
  return query select 'known', g.id, g.request from credit_grants g where g.account = p_account and g.idempotency_key = p_key;
  if found then return; end if;
  if p_max <= (
    select count(*) from credit_grants g
    where g.account = p_account and g.voided_at is null and (g.expires_at is null or g.expires_at > p_now) and weir_credit_left(g.account, g.id) > 0
  ) then
    return query select 'too_many', null, null;
    return;
  end if;
  return query
    insert into credit_grants as g (account, id, name, kind, currency, amount, priority, effective_at, expires_at, cost_basis, idempotency_key,
                                    request, made_by, created_at)
    values (p_account, p_id, p_name, p_kind, p_currency, p_amount, p_priority, p_effective_at, p_expires_at, p_cost_basis, p_key, p_request,
            p_made_by, p_now)
    returning 'made', g.id, g.request;
end $$;

-- A void invoice burns nothing: its grants have back what it burned of them. Whoever voids it.
create function weir_return_credits() returns trigger language plpgsql as $$
begin
  insert into credit_burns (account, credit_grant, invoice, amount, at)
  select b.account, b.credit_grant, b.invoice, -sum(b.amount), new.voided_at
  from credit_burns b where b.account = new.account and b.invoice = new.id
  group by b.account, b.credit_grant, b.invoice having sum(b.amount) > 0
  order by b.credit_grant;
  return null;
end $$;
create trigger invoices_return_credits after update of state on invoices for each row
when (new.state = 'void' and old.state <> 'void') execute function weir_return_credits();

-- Finalizes drafts with the lines they have come to, in the order of their ends: numbers them, enters them in the register, burns the
-- credits that their lines say and tells their accounts, all or nothing. A draft of no lines (null) is dropped. What is finalized already is
-- left alone, and so is a draft that would burn more than is left by now: composed again, it comes to what there is. Answers the new numbers.
create or replace function weir_finalize_invoices(
  p_accounts text[], p_ends timestamptz[], p_currencies text[], p_lines text[], p_totals bigint[], p_taxes bigint[], p_now timestamptz
) returns table (account text, id text, number bigint) language plpgsql as $$
#variable_conflict use_column
declare
  v_count bigint;
  v_last  bigint;
begin
  perform 1 from invoices i join unnest(p_accounts, p_ends) as t (account, period_end) on i.account = t.account and i.period_end = t.period_end
  where i.state = 'draft' order by i.account, i.period_end for no key update of i;

  delete from invoices i using unnest(p_accounts, p_ends, p_lines) as t (account, period_end, lines)
  where i.account = t.account and i.period_end = t.period_end and i.state = 'draft' and t.lines is null;

  -- From here on nobody else burns of these grants, or voids one.
  perform 1 from credit_grants g
  where (g.account, g.id) in (
    select t.account, b.credit_grant from unnest(p_accounts, p_lines) as t (account, lines) cross join weir_burns_of(t.lines::jsonb) b
  ) order by g.account, g.id for no key update;
  select array_agg(t.account order by t.n), array_agg(t.period_end order by t.n), array_agg(t.currency order by t.n),
         array_agg(t.lines order by t.n), array_agg(t.total order by t.n), array_agg(t.tax order by t.n)
  into p_accounts, p_ends, p_currencies, p_lines, p_totals, p_taxes
  from unnest(p_accounts, p_ends, p_currencies, p_lines, p_totals, p_taxes)
    with ordinality as t (account, period_end, currency, lines, total, tax, n)
  where t.lines is not null and not exists (
    select from weir_burns_of(t.lines::jsonb) b
    left join credit_grants g on g.account = t.account and g.id = b.credit_grant and g.voided_at is null
    where b.amount > coalesce(weir_credit_left(g.account, g.id), 0)
  );

  -- Of the drafts that are ours now; the counter's row makes everybody else who numbers wait until we are done or undone.
  select count(*) into v_count from invoices i join unnest(p_accounts, p_ends) as t (account, period_end)
    on i.account = t.account and i.period_end = t.period_end where i.state = 'draft';
  if v_count = 0 then return; end if;
  update document_series s set last = s.last + v_count where s.series = 'invoice' returning s.last into v_last;

  return query
  with numbered as (
    select i.account, i.period_end, t.currency, t.lines::jsonb as lines, t.total, t.tax,
           v_last - v_count + row_number() over (order by i.period_end, i.account) as number
    from unnest(p_accounts, p_ends, p_currencies, p_lines, p_totals, p_taxes) as t (account, period_end, currency, lines, total, tax)
    join invoices i on i.account = t.account and i.period_end = t.period_end and i.state = 'draft'
  ), finalized as (
    update invoices i set state = 'finalized', number = n.number, currency = n.currency, lines = n.lines, total = n.total, tax = n.tax,
                          finalized_at = p_now
    from numbered n where i.account = n.account and i.period_end = n.period_end
    returning i.*
  ), registered as (
    insert into document_numbers (series, number, account, document) select 'invoice', f.number, f.account, f.id from finalized f
  ), burned as (
    insert into credit_burns (account, credit_grant, invoice, amount, at)
    select f.account, b.credit_grant, f.id, b.amount, p_now from finalized f cross join weir_burns_of(f.lines) b
  )
  select f.account, f.id, f.number
  from finalized f
  where weir_notify(f.account, 'invoice/' || f.id, 'invoice.finalized', jsonb_build_object(
    'invoice', f.id, 'number', f.number, 'currency', f.currency, 'totalUsdMicros', f.total,
    'periodStart', to_char(f.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'periodEnd', to_char(f.period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), p_now) is not null
  order by f.number;
end $$;

insert into walled_tables (name, tenant) values ('credit_grants', 'read'), ('credit_burns', 'read');
insert into audited_tables (name, names, quiet) values ('credit_grants', 'id', 'seq');
