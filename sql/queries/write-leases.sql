-- Writes down what leases were granted (weir_write_leases, migration 0014); answers those that are written.
-- $1 account text[]  $2 lease text[]  $3 epoch bigint[]  $4 bucket timestamptz[]  $5 day start  $6 day end  $7 month start
-- $8 month end timestamptz[]  $9 holder text[]  $10 request text[]  $11 ttl ms integer[]  $12 granted json text[]
-- $13 version bigint[]  $14 seq bigint[]  $15 expires timestamptz[]  $16 now timestamptz; no lease twice in one call
select account, lease from weir_write_leases(
  $1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
  $9::text[], $10::text[], $11::integer[], $12::text[], $13::bigint[], $14::bigint[], $15::timestamptz[], $16::timestamptz)
