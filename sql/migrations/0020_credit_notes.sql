-- Credit notes: what is taken off a finalized invoice, which itself never changes.

create table credit_notes (
  account         text        not null references accounts,
  id              text        not null,
  period_end      timestamptz not null,
  invoice         text        not null,
  -- From 1, without gaps, in a series of its own.
  number          bigint      not null,
  -- In millionths of the invoice's currency.
  amount          bigint      not null check (amount > 0),
  reason          text        not null,
  idempotency_key text        not null,
  -- The key that made it.
  made_by         text        not null,
  created_at      timestamptz not null,
  primary key (account, id),
  unique (account, idempotency_key),
  foreign key (account, period_end) references invoices
);
create trigger credit_notes_append_only before update or delete or truncate on credit_notes
for each statement execute function weir_refuse_edit();

-- Credits an invoice: numbers the note, enters it in the register and adds it to what the invoice is credited, all or nothing. Answers the
-- outcome and, where there is one, the note: 'made', or 'known' where its key made one before; 'draft' and 'void' invoices have nothing to
-- credit, and 'too_much' is more than is left of it. No row for an invoice that does not exist.
create function weir_credit(p_invoice text, p_id text, p_amount bigint, p_reason text, p_key text, p_made_by text, p_now timestamptz)
returns table (outcome text, account text, id text, invoice text, number bigint, amount bigint, reason text, made_by text, created_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  v_invoice invoices;
  v_known   credit_notes;
  v_outcome text := 'made';
  v_number  bigint;
begin
  select * into v_invoice from invoices i where i.id = p_invoice for no key update;
  if not found then return; end if;
  select * into v_known from credit_notes c where c.account = v_invoice.account and c.idempotency_key = p_key;
  if found then
    return query select 'known', v_known.account, v_known.id, v_known.invoice, v_known.number, v_known.amount, v_known.reason,
                        v_known.made_by, v_known.created_at;
    return;
  end if;
  if v_invoice.state in ('draft', 'void') then v_outcome := v_invoice.state;
  elsif v_invoice.credited + p_amount > v_invoice.total then v_outcome := 'too_much';
  end if;
  if v_outcome <> 'made' then
    return query select v_outcome, v_invoice.account, null, p_invoice, null::bigint, v_invoice.total - v_invoice.credited, null, null, null::timestamptz;
    return;
  end if;
  update document_series s set last = s.last + 1 where s.series = 'credit_note' returning s.last into v_number;
  insert into document_numbers (series, number, account, document) values ('credit_note', v_number, v_invoice.account, p_id);
  update invoices i set credited = i.credited + p_amount where i.id = p_invoice;
  return query
    insert into credit_notes as c (account, id, period_end, invoice, number, amount, reason, idempotency_key, made_by, created_at)
    values (v_invoice.account, p_id, v_invoice.period_end, p_invoice, v_number, p_amount, p_reason, p_key, p_made_by, p_now)
    returning 'made', c.account, c.id, c.invoice, c.number, c.amount, c.reason, c.made_by, c.created_at;
end $$;
