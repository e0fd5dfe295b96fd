-- Accounts whose credits may have something to tell: those with grants in force that were not told that all is exhausted, or have some left.
-- $1 the account after which to go on, $2 now, $3 how many.
select g.account, coalesce(max(s.round), 0) as round, coalesce(max(s.level), 0) as level
from credit_grants g left join credit_standings s on s.account = g.account
where g.account > $1 and g.effective_at <= $2::timestamptz
  and (s.level is distinct from 2
       or (g.voided_at is null and (g.expires_at is null or g.expires_at > $2::timestamptz) and weir_credit_left(g.account, g.id) > 0))
group by g.account order by g.account limit $3::int
