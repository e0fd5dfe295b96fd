-- Billing months and invoices.

-- The billing months of an account, one after the other without a gap; the last one is open. A month keeps the edges it was opened with:
-- a change of calendar moves the next one. The row of month_ms 0 is the time before the first.
create table billing_periods (
  account      text        not null references accounts,
  period_start timestamptz not null,
  period_end   timestamptz not null,
  -- The length of the whole month that the period is, or is a part of: it prorates fees and averages levels.
  month_ms     bigint      not null check (month_ms >= 0),
  closed_at    timestamptz,
  primary key (account, period_end),
  check (period_start < period_end)
);
create unique index billing_periods_open on billing_periods (account) where closed_at is null;
create index billing_periods_due on billing_periods (period_end, account) where closed_at is null;

-- One row a month of an account that has something to bill: usage of the month, the fee of the next one.
create table invoices (
  account        text        not null references accounts,
  period_end     timestamptz not null,
  period_start   timestamptz not null,
  id             text        not null,
  state          text        not null default 'draft' check (state in ('draft', 'finalized', 'paid', 'void')),
  -- Given when it is finalized, from 1, without gaps.
  number         bigint,
  currency       text        not null,
  lines          jsonb       not null check (jsonb_typeof(lines) = 'array' and lines <> '[]'),
  -- In millionths of the currency. The lines add up to the total; taxes are also told apart.
  total          bigint      not null check (total between -9007199254740991 and 9007199254740991),
  tax            bigint      not null check (tax between -9007199254740991 and 9007199254740991),
  -- What credit notes took off.
  credited       bigint      not null default 0 check (credited >= 0),
  drafted_at     timestamptz not null,
  finalized_at   timestamptz,
  paid_at        timestamptz,
  voided_at      timestamptz,
  -- What whoever marked it as paid calls the payment.
  payment        text,
  primary key (account, period_end),
  foreign key (account, period_end) references billing_periods,
  check ((state = 'draft') = (number is null) and (number is null) = (finalized_at is null)),
  check ((state = 'paid') = (paid_at is not null) and (state = 'void') = (voided_at is not null))
);
create unique index invoices_by_id on invoices (id);
create index invoices_drafts on invoices (period_end, account) where state = 'draft';

-- The register of issued documents: no number twice, and every one of them leads somewhere.
create table document_numbers (
  series   text   not null check (series in ('invoice', 'credit_note')),
  number   bigint not null check (number > 0),
  account  text   not null references accounts,
  document text   not null,
  primary key (series, number)
);
create table document_series (
  series text   primary key,
  last   bigint not null
);
insert into document_series (series, last) values ('invoice', 0), ('credit_note', 0);

-- Accounts whose numbers do not reconcile: nothing of theirs is billed until they do. The reason is for the operator.
create table parked_accounts (
  account   text        primary key references accounts,
  reason    text        not null,
  parked_at timestamptz not null
);

-- A finalized invoice never changes but in what became of it, and none is removed.
create function weir_keep_invoice() returns trigger language plpgsql as $$
begin
  if old.state = 'draft' then return case tg_op when 'DELETE' then old else new end; end if;
  if tg_op = 'DELETE' or (old.account, old.period_end, old.period_start, old.id, old.number, old.currency, old.lines, old.total, old.tax,
                          old.drafted_at, old.finalized_at)
                         is distinct from
                         (new.account, new.period_end, new.period_start, new.id, new.number, new.currency, new.lines, new.total, new.tax,
                          new.drafted_at, new.finalized_at) then
    raise exception 'invoice % is finalized and does not change', old.id using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger invoices_keep before update or delete on invoices for each row execute function weir_keep_invoice();
create trigger document_numbers_append_only before update or delete or truncate on document_numbers
for each statement execute function weir_refuse_edit();

-- A new account's billing begins with it. Until an account has an invoice nothing holds its months to the calendar they were cut by: after
-- a change they are cut anew.
create function weir_begin_billing() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if exists (select from invoices i where i.account = new.account) then return null; end if;
    delete from billing_periods p where p.account = new.account;
  end if;
  insert into billing_periods (account, period_start, period_end, month_ms) values (new.account, to_timestamp(0), new.created_at, 0);
  return null;
end $$;
create trigger accounts_begin_billing after insert on accounts for each row execute function weir_begin_billing();
create trigger accounts_move_billing after update on accounts for each row
when ((old.billing_anchor_day, old.timezone) is distinct from (new.billing_anchor_day, new.timezone))
execute function weir_begin_billing();
insert into billing_periods (account, period_start, period_end, month_ms) select a.account, to_timestamp(0), a.created_at, 0 from accounts a;

-- Closes billing months, opens the next ones and drafts the invoices, all or nothing. A month that is closed already, or whose account has
-- another calendar by now, is left alone: so it may be run twice, at once, and after a crash. Answers the accounts whose month was closed.
create function weir_close_periods(
  p_accounts text[], p_ends timestamptz[], p_anchors int[], p_timezones text[],
  p_next_starts timestamptz[], p_next_ends timestamptz[], p_next_month_ms bigint[],
  p_starts timestamptz[], p_ids text[], p_currencies text[], p_lines text[], p_totals bigint[], p_taxes bigint[], p_now timestamptz
) returns table (account text) language plpgsql as $$
#variable_conflict use_column
begin
  -- In order, and before anything else: whoever changes a calendar locks the account too.
  perform 1 from accounts a where a.account = any (p_accounts) order by a.account for no key update;
  return query
  with closed as (
    update billing_periods p set closed_at = p_now
    from unnest(p_accounts, p_ends, p_anchors, p_timezones, p_next_starts, p_next_ends, p_next_month_ms,
                p_starts, p_ids, p_currencies, p_lines, p_totals, p_taxes)
      as t (account, period_end, anchor, timezone, next_start, next_end, next_month_ms, starts, id, currency, lines, total, tax)
    join accounts a on a.account = t.account and a.billing_anchor_day = t.anchor and a.timezone = t.timezone
    where p.account = t.account and p.period_end = t.period_end and p.closed_at is null
    returning t.*
  ), opened as (
    insert into billing_periods (account, period_start, period_end, month_ms)
    select c.account, c.next_start, c.next_end, c.next_month_ms from closed c
  ), drafted as (
    insert into invoices (account, period_end, period_start, id, currency, lines, total, tax, drafted_at)
    select c.account, c.period_end, c.starts, c.id, c.currency, c.lines::jsonb, c.total, c.tax, p_now from closed c where c.id is not null
  )
  select c.account from closed c;
end $$;

-- Finalizes drafts with the lines they have come to, in the order of their ends: numbers them, enters them in the register and tells their
-- accounts, all or nothing. A draft of no lines (null) is dropped. What is finalized already is left alone. Answers the new numbers.
create function weir_finalize_invoices(
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
  )
  select f.account, f.id, f.number
  from finalized f
  where weir_notify(f.account, 'invoice/' || f.id, 'invoice.finalized', jsonb_build_object(
    'invoice', f.id, 'number', f.number, 'currency', f.currency, 'totalUsdMicros', f.total,
    'periodStart', to_char(f.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'periodEnd', to_char(f.period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), p_now) is not null
  order by f.number;
end $$;
