-- Keys that are rotated, seen to be in use, and revoked in every process at once.

alter table api_keys
  -- To the minute: a busy key is not written at every call.
  add column last_used_at timestamptz,
  -- The key that took this one's place. This one works on until its expires_at: the overlap.
  add column replaced_by text references api_keys;

-- Tells every process that a key is no longer what it may remember, whoever changed it, a hand with psql too. Postgres sends it with
-- the commit, so nobody hears of what did not happen.
create function weir_tell_key() returns trigger language plpgsql as $$
begin
  perform pg_notify('weir_keys', old.id);
  return null;
end $$;

create trigger api_keys_told after delete or update of id, account, scope, secret_hash, expires_at, revoked_at on api_keys
  for each row execute function weir_tell_key();
