-- A month that was let go is no part of the ledger, and no billing month that lost usage with it was corrected since.
-- An hour later at the least, since the clocks of processes differ.
select c.account, r.partition, c.number as correction
from retired_months r
join corrections c on c.at < r.ends_at and c.created_at > r.retired_at + interval '1 hour'
union all
select null, r.partition, null
from retired_months r
join pg_inherits i on i.inhparent = 'usage_buckets'::regclass and i.inhrelid = to_regclass(r.partition)
where r.detached_at is not null
