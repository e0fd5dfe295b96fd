-- Adds a batch of requests to the objects that were asked for. A batch that was booked already (its number is not above the source's last)
-- adds nothing. An object's count begins anew with its account's billing month; what comes late for the month before goes with this one.
-- $1 source text  $2 batch bigint  $3 booked at timestamptz
-- $4 account text[]  $5 service text[]  $6 namespace text[]  $7 object text[]  $8 month start timestamptz[]  $9 requests bigint[]
-- (no object twice in one batch). Answers nothing.
with turn as (
  insert into object_request_batches as b (source, batch, booked_at) values ($1::text, $2::bigint, $3::timestamptz)
  on conflict (source) do update set batch = excluded.batch, booked_at = excluded.booked_at where excluded.batch > b.batch
  returning 1
)
insert into object_requests as o (account, service, namespace, object, month_start, requests)
select t.*
from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::bigint[])
  as t (account, service, namespace, object, month_start, requests)
where exists (select from turn)
order by 1, 2, 3, 4
on conflict (account, service, namespace, object)
do update set
  month_start = greatest(o.month_start, excluded.month_start),
  requests = case when excluded.month_start > o.month_start then excluded.requests
                  else least(o.requests + excluded.requests, 9007199254740991) end
