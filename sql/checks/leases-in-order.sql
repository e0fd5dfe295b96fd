-- What a lease spends is booked in its one bucket, under the life that lent it, and no lease was lent by a life that was never opened.
-- $1 from: leases that began earlier are not looked at.
select 'usage_buckets' as table_name, u.account, u.source as lease, u.epoch, u.bucket
from leases l join usage_buckets u on u.account = l.account and u.source = l.lease
where l.bucket >= $1::timestamptz and u.bucket >= $1::timestamptz and (u.bucket <> l.bucket or u.epoch <> l.epoch)
union all
select 'leases', l.account, l.lease, l.epoch, l.bucket
from leases l join accounts a on a.account = l.account
where l.bucket >= $1::timestamptz
  and (l.epoch > a.last_epoch or l.epoch < 1 or l.bucket < l.day_start or l.bucket >= l.day_end
       or l.bucket < l.month_start or l.bucket >= l.month_end)
