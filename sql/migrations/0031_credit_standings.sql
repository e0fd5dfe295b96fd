-- How prepaid credits stand, as far as accounts were told of it: 0 well, 1 low, 2 exhausted. Each crossing is told once.

create table credit_standings (
  account text    primary key references accounts,
  level   integer not null check (level between 0 and 2),
  -- Rises when grants change and when the level falls: what is told after it is told anew, and what was reckoned before it is not told.
  round   bigint  not null
);

-- Takes note of an account's level as reckoned from what was there in p_round (0: nothing was told yet), and tells of each level it rose to,
-- in order. Where grants have changed meanwhile nothing is done: it is reckoned again. Answers how many were told.
create function weir_tell_credits(p_account text, p_round bigint, p_level integer, p_data jsonb, p_now timestamptz) returns integer
language plpgsql as $$
declare
  v_standing credit_standings;
  v_told     integer := 0;
begin
  insert into credit_standings (account, level, round) values (p_account, 0, 1) on conflict (account) do nothing;
  select * into v_standing from credit_standings s where s.account = p_account for no key update;
  if v_standing.round <> greatest(p_round, 1) or v_standing.level = p_level then return 0; end if;
  for v_level in v_standing.level + 1 .. p_level loop
    if weir_notify(p_account, 'credits/' || v_standing.round || '/' || v_level,
                   case v_level when 1 then 'credits.low' else 'credits.exhausted' end, p_data, p_now) then
      v_told := v_told + 1;
    end if;
  end loop;
  update credit_standings s set level = p_level, round = s.round + case when p_level < v_standing.level then 1 else 0 end
  where s.account = p_account;
  return v_told;
end $$;

create function weir_credits_changed() returns trigger language plpgsql as $$
begin
  update credit_standings s set round = s.round + 1 where s.account = new.account;
  return null;
end $$;
create trigger credit_grants_changed after insert or update on credit_grants for each row execute function weir_credits_changed();

insert into walled_tables (name, tenant) values ('credit_standings', 'read');
