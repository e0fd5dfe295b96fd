-- What prepaid credits cover of each meter's month, where a plan stops at them: a limit like any other, raised bit by bit and never lowered
-- within the month. docs/decisions/0030-credits.md.

create table credit_limits (
  account     text        primary key references accounts,
  -- The month and the plan it was reckoned for: of another one it says nothing.
  month_start timestamptz not null,
  plan        text        not null,
  -- Meter → what its counter may come to in the month, base quantity.
  quantities  jsonb       not null check (jsonb_typeof(quantities) = 'object')
);

-- Puts limits into force that were reckoned under p_version of the account's limits. Answers the new version; nothing where limits, grants or
-- the plan have changed meanwhile: it is reckoned again.
create function weir_put_credit_limits(p_account text, p_version bigint, p_month_start timestamptz, p_plan text, p_quantities jsonb)
returns setof bigint language sql as $$
  with moved as (
    update accounts a set limits_version = a.limits_version + 1
    where a.account = p_account and a.limits_version = p_version returning a.account, a.limits_version
  ), put as (
    insert into credit_limits (account, month_start, plan, quantities) select m.account, p_month_start, p_plan, p_quantities from moved m
    on conflict (account) do update set month_start = excluded.month_start, plan = excluded.plan, quantities = excluded.quantities
  )
  select limits_version from moved
$$;

-- What is granted or voided moves what the limits may become.
create function weir_credits_move_limits() returns trigger language plpgsql as $$
begin
  update accounts a set limits_version = a.limits_version + 1 where a.account = new.account;
  return null;
end $$;
create trigger credit_grants_move_limits after insert or update on credit_grants for each row execute function weir_credits_move_limits();

insert into walled_tables (name, tenant) values ('credit_limits', 'read');
