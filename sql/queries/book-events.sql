-- Counts usage events: those whose key was never seen add their quantities to the hour buckets, in the statement that notes the key.
-- Sent again, after an unknown end too, it adds nothing. The work is weir_book_events of migration 0005.
-- $1 account text[], each once  $2 the foreign_seq the account must have, or null, bigint[]
-- $3 event key uuid[], each once  $4 its account text[]  $5 received at timestamptz
-- lines: $6 event's place in $3 int[], from 1  $7 bucket timestamptz[]  $8 meter text[]  $9 service text[]  $10 namespace text[]
--        $11 quantity bigint[]
-- Answers a row for each account that exists and is as expected: account, its foreign_seq now, places of the events counted now.
select account, foreign_seq, places
from weir_book_events($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::timestamptz,
  $6::int[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::bigint[])
