-- Handing finalized invoices over to whoever collects the money. docs/payments.md.

-- What the other side calls an account.
create table payment_customers (
  account    text        not null references accounts,
  provider   text        not null check (provider in ('manual', 'stripe')),
  customer   text        not null,
  created_at timestamptz not null,
  primary key (account, provider)
);

-- One row an invoice that is, or was, to be collected: where it stands at the other side. It is handed over by one provider, once.
create table payment_hand_overs (
  account         text        not null references accounts,
  invoice         text        not null,
  period_end      timestamptz not null,
  provider        text        not null check (provider in ('manual', 'stripe')),
  -- 'pending': something is to be told to the other side. 'handed_over': it collects. 'settled': it has nothing more to collect.
  -- 'failed': it refused, or did not answer for too long; the operator's to retry.
  state           text        not null default 'pending' check (state in ('pending', 'handed_over', 'settled', 'failed')),
  -- What credit notes had taken off when it fell due: every attempt hands over the same amount, whatever is credited meanwhile.
  credited        bigint      not null check (credited >= 0),
  -- What the other side calls the invoice.
  external_id     text,
  -- All that were begun. The failures since the last success space the next ones; those that were answered renew the idempotency keys, since
  -- the other side repeats its answer to a key.
  attempts        integer     not null default 0 check (attempts >= 0),
  failures        integer     not null default 0 check (failures >= 0),
  refusals        integer     not null default 0 check (refusals >= 0),
  next_attempt_at timestamptz not null,
  lease           text,
  error           text,
  created_at      timestamptz not null,
  handed_over_at  timestamptz,
  settled_at      timestamptz,
  primary key (account, invoice),
  foreign key (account, period_end) references invoices
);
create index payment_hand_overs_due on payment_hand_overs (provider, next_attempt_at) where state = 'pending';
create index payment_hand_overs_failed on payment_hand_overs (created_at) where state = 'failed';
create index payment_hand_overs_open on payment_hand_overs (account, period_end) where state = 'handed_over';
create index invoices_unpaid on invoices (finalized_at) where state = 'finalized';

insert into walled_tables (name, tenant) values ('payment_customers', 'none'), ('payment_hand_overs', 'none');

-- Notes what is to be told to the other side: invoices finalized since p_from (null: ever) that nobody was told of, and those that were
-- handed over and have been voided, or paid elsewhere, since. At most p_limit of each; answers how many.
create function weir_plan_hand_overs(p_provider text, p_from timestamptz, p_limit integer, p_now timestamptz) returns integer language sql as $$
  with due as (
    insert into payment_hand_overs (account, invoice, period_end, provider, credited, next_attempt_at, created_at)
    select i.account, i.id, i.period_end, p_provider, i.credited, p_now, p_now
    from invoices i
    where i.state = 'finalized' and i.total > i.credited and (p_from is null or i.finalized_at >= p_from)
      and not exists (select from payment_hand_overs h where h.account = i.account and h.invoice = i.id)
    order by i.finalized_at
    limit p_limit
    on conflict do nothing
    returning 1
  ), withdrawn as (
    update payment_hand_overs h set state = 'pending', next_attempt_at = p_now, failures = 0
    from (
      select o.account, o.invoice
      from payment_hand_overs o join invoices i on i.account = o.account and i.period_end = o.period_end
      where o.state = 'handed_over' and o.provider = p_provider and i.state in ('paid', 'void')
      limit p_limit
      for update of o skip locked
    ) w
    where h.account = w.account and h.invoice = w.invoice
    returning 1
  )
  select ((select count(*) from due) + (select count(*) from withdrawn))::integer
$$;

-- Takes one hand-over that is due, until p_leased_until: who took it and was killed by then is taken for dead. No row where nothing is due.
create function weir_claim_hand_over(p_provider text, p_now timestamptz, p_lease text, p_leased_until timestamptz)
returns table (account text, invoice text, number bigint, invoice_state text, currency text, lines jsonb, credited bigint,
               external_id text, attempts integer, failures integer, refusals integer, customer text, name text, email text)
language sql as $$
  with taken as (
    update payment_hand_overs h set lease = p_lease, next_attempt_at = p_leased_until, attempts = h.attempts + 1
    from (
      select n.account, n.invoice from payment_hand_overs n
      where n.provider = p_provider and n.state = 'pending' and n.next_attempt_at <= p_now
      order by n.next_attempt_at
      limit 1
      for update of n skip locked
    ) p
    where h.account = p.account and h.invoice = p.invoice
    returning h.*
  )
  select t.account, t.invoice, i.number, i.state, i.currency, i.lines, t.credited, t.external_id, t.attempts, t.failures, t.refusals,
         c.customer, a.name, a.email
  from taken t
  join invoices i on i.account = t.account and i.period_end = t.period_end
  join accounts a on a.account = t.account
  left join payment_customers c on c.account = t.account and c.provider = t.provider
$$;

-- Books a payment that the other side tells of: the invoice is paid and the hand-over settled, or neither. Answers 'paid', 'known' where
-- that was booked before, 'void' for an invoice that is not to be paid, and 'unknown' for one that was not handed over as that.
create function weir_book_payment(p_provider text, p_invoice text, p_external_id text, p_now timestamptz) returns text language plpgsql as $$
declare
  v_invoice   invoices;
  v_hand_over payment_hand_overs;
begin
  select * into v_invoice from invoices i where i.id = p_invoice for no key update;
  if not found then return 'unknown'; end if;
  select * into v_hand_over from payment_hand_overs h
  where h.account = v_invoice.account and h.invoice = p_invoice and h.provider = p_provider for no key update;
  -- It may have been killed between pushing and booking: then the payment says first what the other side calls the invoice.
  if not found or v_hand_over.external_id <> p_external_id then return 'unknown'; end if;
  if v_invoice.state = 'void' then return 'void'; end if;
  update payment_hand_overs h
  set state = 'settled', external_id = p_external_id, lease = null, error = null,
      handed_over_at = coalesce(h.handed_over_at, p_now), settled_at = coalesce(h.settled_at, p_now)
  where h.account = v_invoice.account and h.invoice = p_invoice;
  if v_invoice.state = 'paid' then return 'known'; end if;
  update invoices i set state = 'paid', paid_at = p_now, payment = p_external_id where i.id = p_invoice;
  return 'paid';
end $$;
