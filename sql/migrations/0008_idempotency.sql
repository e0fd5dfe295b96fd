-- Idempotency keys of checks and their answers, so that a Redis that lost them does not count a repeated operation again.

create table idempotency_keys (
  account     text        not null,
  -- 128 bits of the key's SHA-256.
  key_hash    bytea       not null check (length(key_hash) = 16),
  -- 128 bits of the request's hash, then the answer as check.lua keeps it.
  answer      bytea       not null,
  answered_at timestamptz not null,
  primary key (account, key_hash)
);
create index idempotency_keys_by_age on idempotency_keys (answered_at);
