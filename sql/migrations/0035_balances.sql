-- What an invoice of less than nothing leaves to the next one.

-- What the invoice's lines carry: above zero to a later invoice, below zero from earlier ones. What an account is owed is the sum over its
-- invoices; a void one neither owes nor is owed.
alter table invoices add column carried bigint not null default 0 check (carried between -9007199254740991 and 9007199254740991);
create index invoices_carried on invoices (account, period_end) where carried <> 0 and state <> 'void';

-- The lines say it; so whoever writes lines writes this.
create function weir_note_carried() returns trigger language plpgsql as $$
begin
  new.carried := coalesce((
    select sum((l.value ->> 'amountUsdMicros')::bigint) from jsonb_array_elements(new.lines) l where l.value -> 'explain' ? 'balance'), 0);
  return new;
end $$;
create trigger invoices_note_carried before insert or update of lines on invoices for each row execute function weir_note_carried();

-- A finalized invoice never changes but in what became of it, and none is removed.
create or replace function weir_keep_invoice() returns trigger language plpgsql as $$
begin
  if old.state = 'draft' then return case tg_op when 'DELETE' then old else new end; end if;
  if tg_op = 'DELETE' or (old.account, old.period_end, old.period_start, old.id, old.number, old.currency, old.lines, old.total, old.tax,
                          old.carried, old.drafted_at, old.finalized_at)
                         is distinct from
                         (new.account, new.period_end, new.period_start, new.id, new.number, new.currency, new.lines, new.total, new.tax,
                          new.carried, new.drafted_at, new.finalized_at) then
    raise exception 'invoice % is finalized and does not change', old.id using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
