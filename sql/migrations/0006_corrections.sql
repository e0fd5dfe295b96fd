-- Corrections of counters: entries of the operator's own beside the usage, added to it and never edited.

create table corrections (
  account         text        not null references accounts,
  -- Counts from 1 per account, without gaps: a missing number is an entry that was removed.
  number          bigint      not null,
  meter           text        not null,
  quantity        bigint      not null check (quantity <> 0 and quantity between -9007199254740991 and 9007199254740991),
  -- It counts in the windows that hold this instant.
  at              timestamptz not null,
  reason          text        not null,
  idempotency_key text        not null,
  -- The request as it was sent, in one canonical text: the same key with another request is refused.
  request         text        not null,
  -- The key that made the entry.
  made_by         text        not null,
  created_at      timestamptz not null,
  primary key (account, number),
  unique (account, idempotency_key)
);
create index corrections_by_time on corrections (account, at);

create function weir_refuse_edit() returns trigger language plpgsql as $$
begin
  raise exception '% only grows: append a correction instead', tg_table_name using errcode = 'restrict_violation';
end $$;

create trigger corrections_append_only before update or delete or truncate on corrections
for each statement execute function weir_refuse_edit();

-- Appends a correction and raises foreign_seq, so that Redis takes the new sums. Answers the entry of that key: the new one, or the one
-- that was there before. Nothing for an account that does not exist. The account's row is locked first, as whoever sums does.
create function weir_correct(
  p_account text, p_meter text, p_quantity bigint, p_at timestamptz, p_reason text, p_key text, p_request text, p_made_by text, p_now timestamptz
) returns setof corrections language plpgsql as $$
begin
  perform 1 from accounts a where a.account = p_account for no key update;
  if not found then return; end if;
  return query select c.* from corrections c where c.account = p_account and c.idempotency_key = p_key;
  if found then return; end if;
  update accounts a set foreign_seq = a.foreign_seq + 1 where a.account = p_account;
  return query
    insert into corrections as c (account, number, meter, quantity, at, reason, idempotency_key, request, made_by, created_at)
    select p_account, 1 + coalesce((select max(n.number) from corrections n where n.account = p_account), 0),
           p_meter, p_quantity, p_at, p_reason, p_key, p_request, p_made_by, p_now
    returning c.*;
end $$;
