-- Books idempotency keys with their answers; the first answer of a key stays.
-- $1 account text[]  $2 key hash text[]  $3 answer text[]  $4 answered at timestamptz[]; hash and answer in base64, since the
-- driver has no array of bytea. Answers nothing.
insert into idempotency_keys (account, key_hash, answer, answered_at)
select distinct on (1, 2) t.account, decode(t.key_hash, 'base64'), decode(t.answer, 'base64'), t.answered_at
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as t (account, key_hash, answer, answered_at)
order by 1, 2, 4
on conflict (account, key_hash) do nothing
