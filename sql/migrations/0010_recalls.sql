-- Recalls: before an account that was loaded once is loaded anew, every process books what it holds alone.

-- One row: how many recalls there were.
create table recalls (
  only_row boolean primary key default true check (only_row),
  seq      bigint  not null
);
insert into recalls (seq) values (0);

-- Processes that acknowledge usage. A source that has not been seen for a while has crashed, and waiting for it helps nobody.
create table sources (
  source  text        primary key,
  -- The server's own clock, since it measures silence, not usage.
  seen_at timestamptz not null,
  -- The last recall it has answered: all it acknowledged before is in this database.
  heard   bigint      not null
);

-- Starts the account's next life in place of `p_unlived`, which was installed but never granted anything, so nothing is stranded by it.
-- Answers its ordinal, or null when `p_unlived` was granted something after all, or the limits have changed since they were read.
create function weir_replace_unlived(p_account text, p_unlived bigint, p_limits_version bigint, p_now timestamptz)
returns bigint language plpgsql as $$
begin
  -- Locked first: a grant that is under way is seen by the next statement, and one that comes later finds another epoch.
  perform 1 from accounts a where a.account = p_account for no key update;
  if exists (select from grants g where g.account = p_account and g.epoch = p_unlived) then return null; end if;
  return weir_open_epoch(p_account, p_limits_version, p_now);
end $$;
