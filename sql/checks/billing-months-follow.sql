-- Every account has one open billing month, and from its first one on they follow each other without a gap or an overlap.
-- $1 from: months that ended earlier are not looked at.
select a.account, null::timestamptz as period_end, 'no month is open' as what
from accounts a where not exists (select from billing_periods p where p.account = a.account and p.closed_at is null)
union all
select p.account, p.period_end, 'another month begins elsewhere'
from billing_periods p
where p.period_end >= $1::timestamptz and p.closed_at is not null and p.month_ms > 0
  and not exists (select from billing_periods n where n.account = p.account and n.period_start = p.period_end)
