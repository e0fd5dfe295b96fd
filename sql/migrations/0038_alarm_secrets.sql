-- What a worker knows its alarms by: each namespace has a secret, which signs the calls (Standard Webhooks).

-- The default is random, anew for each row: namespaces that are there, and those that an older process makes beside a newer one, have a secret
-- that nobody has seen; rotating shows a new one.
alter table state_namespaces
  add column secret                bytea not null default (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
                                         check (length(secret) between 24 and 64),
  -- After a rotation the old secret signs too, until then: workers change theirs without a gap.
  add column previous_secret       bytea check (length(previous_secret) between 24 and 64),
  add column previous_secret_until timestamptz check ((previous_secret_until is null) = (previous_secret is null));
